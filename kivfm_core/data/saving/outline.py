"""The outline of a mask as one polygon, exact to the pixel. Torch-free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def outline(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """One polygon that encloses exactly a mask's pixels by the even-odd rule.

    Parts are joined by lines that are drawn there and back, which enclose nothing; so are holes.

    Args:
        mask: Bool `[H, W]`.

    Returns:
        Corners `(x, y)` on the edges of pixels, `[K, 2]`; none for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros((0, 2), np.int64)
    top, left = rows[0], columns[0]
    loops = _loops(mask[top : rows[-1] + 1, left : columns[-1] + 1])
    way = [np.concatenate((loop, loop[:1])) for loop in loops]
    back = [loop[:1] for loop in loops[-2:0:-1]]
    whole = np.concatenate((*way, *back))
    return (whole if len(loops) > 1 else whole[:-1]) + (left, top)


def _loops(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The closed outlines of a mask's parts and holes.

    The corners in a row of the grid between pixels are the ends of its edges, two and two, and so
    are those in a column; following both in turn goes around. Where two pixels touch at a corner,
    four edges meet, and the corner counts twice.
    """
    inside = np.pad(mask, 1)
    left, right = inside[:, :-1], inside[:, 1:]
    upper, lower = inside[:-1], inside[1:]
    vertical, horizontal = left != right, upper != lower
    up, down = vertical[:-1], vertical[1:]
    west, east = horizontal[:, :-1], horizontal[:, 1:]
    times = (up != down) & (west != east)
    times = times.astype(np.int64) + 2 * (up & down & west & east)
    y, x = np.nonzero(times)
    repeats = times[y, x]
    y, x = np.repeat(y, repeats), np.repeat(x, repeats)
    along_row = np.arange(len(y)) ^ 1
    order = np.lexsort((y, x))  # by columns; stable, so that the upper of two equal ones is first
    along_column = np.empty_like(along_row)
    along_column[order[0::2]], along_column[order[1::2]] = order[1::2], order[0::2]
    return [np.stack((x[loop], y[loop]), axis=1) for loop in _followed(along_row, along_column)]


def _followed(row: NDArray[np.int64], column: NDArray[np.int64]) -> list[list[int]]:
    """The corners of each loop, by taking the neighbor in the row and in the column in turn."""
    rows, columns = row.tolist(), column.tolist()
    seen = bytearray(len(rows))
    loops: list[list[int]] = []
    for first in range(len(rows)):
        if seen[first]:
            continue
        loop, at = list[int](), first
        while not seen[at]:
            other = rows[at]
            seen[at] = seen[other] = 1
            loop += (at, other)
            at = columns[other]
        loops.append(loop)
    return loops
