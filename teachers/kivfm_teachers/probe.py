"""How a network's map follows from the canvas: found by trying sizes on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

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

    @cache
    def grid_at(side: int) -> Shape | None:
        try:
            return shape_at(side)[2:]
        except (AssertionError, RuntimeError):
            return None

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
            sides = [side + extra for extra in (0, *more)]
            if all(grid_at(n) == level.grid((n, n)) for n in sides):
                return level, multiple
    return None
