"""How a network's map follows from the canvas: found by trying sizes on the meta device."""

from __future__ import annotations

from collections.abc import Callable

from kivfm_core.spec import Level

Shape = tuple[int, ...]


def dense_level(
    name: str, shape_at: Callable[[int], Shape], side: int, stride: int
) -> tuple[Level, int] | None:
    """The level of a map, and what canvas sides must be a multiple of.

    Args:
        name: The level's name.
        shape_at: The map's shape `(B, C, h, w)` on a square canvas of this many pixels; may raise
            `AssertionError` or `RuntimeError` for a size that the network refuses.
        side: The network's own canvas side.
        stride: Canvas pixels a cell.

    Returns:
        None if the map's size follows from no such stride.
    """
    _, channels, height, _ = shape_at(side)
    # The last resort is the network's own size alone, with cells as large as they come out there.
    tries = (
        (1, stride, (1, stride - 1)),
        (stride, stride, (stride,)),
        (side, stride, ()),
        (side, side // height, ()),
    )
    for multiple, cell, more in tries:
        for rounding in ("floor", "ceil"):
            level = Level(
                name=name, kind="dense", channels=channels, stride=cell, rounding=rounding
            )
            if all(_fits(shape_at, level, side + extra) for extra in (0, *more)):
                return level, multiple
    return None


def _fits(shape_at: Callable[[int], Shape], level: Level, side: int) -> bool:
    try:
        return shape_at(side)[2:] == level.grid((side, side))
    except (AssertionError, RuntimeError):
        return False
