"""The sources of outputs that a run needs, and the size of their outputs. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from kivfm_core.cache.encoding import FITTED_ON
from kivfm_core.cache.key import list_encodings
from kivfm_core.cache.output_source import CANVAS, OutputSource
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.cost import gmacs
from kivfm_core.composition.memory import FLOAT, working_bytes
from kivfm_core.config import RunConfig
from kivfm_core.spec import Level


@dataclass(frozen=True)
class Network:
    """A source of outputs with its costs: a teacher, the frozen trunk, or the canvas.

    Attributes:
        name: The key of its `OutputSource`: a teacher's name, `trunk@224`, `canvas@224`.
        size: Index of the student's canvas size; None for a teacher, which sees all views.
        bytes: Bytes of the outputs for a view in a cache.
        gmacs: Lower bound of the work on a view, in billions of multiply-adds.
        rate: The key of its measured seconds per view.
        sample: Images on which the encoding of its outputs is fitted, at most.
        weights: Bytes of its weights in memory.
        working: Estimated bytes that it takes beside them while it runs, per view; 0 for the
            canvas, which is no network.
        outputs: Bytes of the outputs for a view in a training step, in float32.
    """

    name: str
    size: int | None
    bytes: int
    gmacs: float
    rate: str
    sample: int = 0
    weights: int = 0
    working: int = 0
    outputs: int = 0


def list_networks(config: RunConfig, composition: Composition) -> Iterator[Network]:
    """All sources of outputs that a run needs, in the order of its cost table."""
    trunk, encodings = composition.trunk, list_encodings(config, composition)
    for size, side in enumerate(composition.image_size):
        canvas = OutputSource.canvas(side)
        stored = encodings[canvas.key].bytes(CANVAS, (3, side, side))
        yield Network(canvas.key, size, stored, 0.0, canvas.sized, outputs=FLOAT * 3 * side**2)
    for spec in composition.teachers:
        if spec.name in composition.teachers_to_run:
            teacher = OutputSource.teacher(composition, spec)
            side, encoding = teacher.side, encodings[teacher.key]
            shapes = {level.name: _shape(level, side) for level in spec.levels}
            stored = sum(encoding.bytes(name, shape) for name, shape in shapes.items())
            numbers = sum(prod(shape) for shape in shapes.values())
            work, sample = gmacs(spec, side), FITTED_ON if encoding.latent else 0
            yield Network(
                teacher.key, None, stored, work, teacher.sized, sample,
                FLOAT * spec.parameters, working_bytes((side, side)), FLOAT * numbers,
            )  # fmt: skip
    if composition.adapter is not None:
        for size, side in enumerate(composition.image_size):
            h, w = composition.trunk_input((side, side))
            numbers = composition.x_channels
            numbers += prod(_shape(trunk.level(composition.v_level), side))
            for one in composition.reads:
                numbers += one.channels * -(-h // one.stride) * -(-w // one.stride)
            work = gmacs(trunk, composition.trunk_size)
            source = OutputSource.trunk(composition, side)
            rate = f"{source.kind} {source.sized}, {h} x {w}"
            yield Network(
                source.key, size, 2 * numbers, work, rate, 0,
                FLOAT * trunk.parameters, working_bytes((h, w)), FLOAT * numbers,
            )  # fmt: skip


def _shape(level: Level, side: int) -> tuple[int, ...]:
    grid = level.grid((side, side)) if level.kind == "dense" else ()
    return level.channels, *grid
