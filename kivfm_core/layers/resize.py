"""Resizing of feature maps and canvases."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes maps `[B, C, h, w]` bilinearly to `size`, a height and width.

    Maps of at least twice that size are averaged to twice that size first, since bilinear
    interpolation reads no more than four cells and would skip the others.
    """
    h, w = maps.shape[-2:]
    if (h, w) == tuple(size):
        return maps
    if h >= 2 * size[0] and w >= 2 * size[1]:
        maps = F.adaptive_avg_pool2d(maps, (2 * size[0], 2 * size[1]))
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
