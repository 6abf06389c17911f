"""The frozen networks that a run asks, and what a view's answers take. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kivfm_core.cache.key import CANVAS, TRUNK, at
from kivfm_core.composition import Composition
from kivfm_core.outline import gmacs
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
    """

    name: str
    size: int | None
    bytes: int
    gmacs: float
    rate: str


def list_networks(composition: Composition) -> Iterator[Network]:
    """Everyone that a run asks."""
    trunk = composition.trunk
    for size, side in enumerate(composition.image_size):
        yield Network(at(CANVAS, side), size, 2 * 3 * side**2, 0.0, at(CANVAS, side))
    for spec in composition.teachers:
        if spec.name in composition.asked:
            side = composition.side(spec)
            numbers = sum(_numbers(level, side) for level in spec.levels)
            yield Network(spec.name, None, 2 * numbers, gmacs(spec, side), at(spec.name, side))
    if composition.adapter is not None:
        for size, side in enumerate(composition.image_size):
            h, w = composition.trunk_input((side, side))
            numbers = composition.x_channels + _numbers(trunk.level(composition.v_level), side)
            for tap in composition.taps:
                numbers += tap.channels * -(-h // tap.stride) * -(-w // tap.stride)
            work = gmacs(trunk, composition.trunk_size)
            rate = f"{TRUNK} {at(trunk.name, side)}, {h} x {w}"
            yield Network(at(TRUNK, side), size, 2 * numbers, work, rate)


def _numbers(level: Level, side: int) -> int:
    h, w = level.grid((side, side)) if level.kind == "dense" else (1, 1)
    return level.channels * h * w
