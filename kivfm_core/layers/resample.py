"""Reading feature maps of one canvas on the grid of another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from kivfm_core.geometry import Frame


def resample(
    maps: Tensor, frames: Sequence[Frame], others: Sequence[Frame], grid: tuple[int, int]
) -> Tensor:
    """Maps of canvases, read where the cells of other canvases of the same images lie.

    Bilinear; where cells become larger, each is the mean of what it covers. Beyond the canvas its
    border goes on.

    Args:
        maps: `[B, C, h, w]`, each over its whole canvas.
        frames: Of these canvases.
        others: Of the canvases to be covered.
        grid: `(h, w)` of the cells that cover each.

    Returns:
        `[B, C, *grid]`.
    """
    out = maps
    for axis in (0, 1):  # rows, then columns
        count = maps.shape[2 + axis]
        places = [_places(a, b, axis) for a, b in zip(frames, others, strict=True)]
        if count == grid[axis] and all(place == (1.0, 0.0) for place in places):
            continue
        rows = torch.stack([_weights(count, grid[axis], *place) for place in places])[:, None]
        rows = rows.to(maps)
        out = rows @ out if axis == 0 else out @ rows.mT
    return out


def _places(frame: Frame, other: Frame, axis: int) -> tuple[float, float]:
    """`(a, b)` of the map `place = a * place on the other canvas + b`; each canvas is 0..1."""
    at = 1 - axis  # scales and offsets are (x, y), sizes (height, width)
    scale, shift = frame.scale[at], frame.offset[at]
    other_scale, other_shift = other.scale[at], other.offset[at]
    factor = scale / other_scale
    size = frame.canvas[axis]
    return factor * other.canvas[axis] / size, (shift - factor * other_shift) / size


@lru_cache(maxsize=256)  # images of one size have them in common
def _weights(count: int, cells: int, scale: float, shift: float) -> Tensor:
    """What each of `cells` new cells takes of each of `count` cells: `[cells, count]`."""
    middle = count * (scale * (torch.arange(cells, dtype=torch.float64) + 0.5) / cells + shift)
    middle = middle.clamp(0.5, count - 0.5)
    width = max(1.0, abs(scale) * count / cells)
    away = (torch.arange(count, dtype=torch.float64) + 0.5 - middle[:, None]).abs()
    weights = (0.5 * (1 + width) - away).clamp(0, 1)  # how much of each is covered
    return (weights / weights.sum(1, keepdim=True)).float()
