"""The frozen networks that a run asks, and what a view's answers take. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from kivfm_core.cache.encoding import FITTED_ON
from kivfm_core.cache.key import CANVAS, TRUNK, at, list_encodings
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.memory import FLOAT, working_bytes
from kivfm_core.composition.summary import gmacs
from kivfm_core.config import RunConfig
from kivfm_core.spec import Level


@dataclass(frozen=True)
class Network:
    """An owner of answers: a teacher, or at one of its sizes the frozen trunk or the canvas.

    Attributes:
        name: As caches know it: a teacher's name, `trunk@224`, `canvas@224`.
        size: Index of the student's canvas size; None for a teacher, which sees all views.
        bytes: What a view's answers take in a cache.
        gmacs: Lower bound of the work on a view, in billions of multiply-adds.
        rate: The key of its measured seconds a view.
        sample: Pictures that the encoding of its answers is fitted on, at most.
        weights: Bytes of its weights in memory.
        working: Bytes that it takes beside them while it is asked about a view, by estimate; 0 for
            the canvas, which is no network.
        answers: Bytes of a view's answers as a step has them, in float32.
    """

    name: str
    size: int | None
    bytes: int
    gmacs: float
    rate: str
    sample: int = 0
    weights: int = 0
    working: int = 0
    answers: int = 0


def list_networks(config: RunConfig, composition: Composition) -> Iterator[Network]:
    """Everyone that a run asks."""
    trunk, how = composition.trunk, list_encodings(config, composition)
    for size, side in enumerate(composition.image_size):
        taken = how[at(CANVAS, side)].bytes(CANVAS, (3, side, side))
        answers = FLOAT * 3 * side**2
        yield Network(at(CANVAS, side), size, taken, 0.0, at(CANVAS, side), answers=answers)
    for spec in composition.teachers:
        if spec.name in composition.teachers_to_run:
            side, kept = composition.side(spec), how[spec.name]
            shapes = {level.name: _shape(level, side) for level in spec.levels}
            taken = sum(kept.bytes(name, shape) for name, shape in shapes.items())
            numbers = sum(prod(shape) for shape in shapes.values())
            work, sample = gmacs(spec, side), FITTED_ON if kept.latent else 0
            yield Network(
                spec.name, None, taken, work, at(spec.name, side), sample,
                FLOAT * spec.parameters, working_bytes((side, side)), FLOAT * numbers,
            )  # fmt: skip
    if composition.adapter is not None:
        for size, side in enumerate(composition.image_size):
            h, w = composition.trunk_input((side, side))
            numbers = composition.x_channels
            numbers += prod(_shape(trunk.level(composition.v_level), side))
            for tap in composition.attachments:
                numbers += tap.channels * -(-h // tap.stride) * -(-w // tap.stride)
            work = gmacs(trunk, composition.trunk_size)
            rate = f"{TRUNK} {at(trunk.name, side)}, {h} x {w}"
            yield Network(
                at(TRUNK, side), size, 2 * numbers, work, rate, 0,
                FLOAT * trunk.parameters, working_bytes((h, w)), FLOAT * numbers,
            )  # fmt: skip


def _shape(level: Level, side: int) -> tuple[int, ...]:
    grid = level.grid((side, side)) if level.kind == "dense" else ()
    return level.channels, *grid
