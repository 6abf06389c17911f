"""Resizing of feature maps and canvases."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes maps `[B, C, h, w]` bilinearly to `size`; averages first when shrinking to half."""
    h, w = maps.shape[-2:]
    if (h, w) == tuple(size):
        return maps
    if h >= 2 * size[0] and w >= 2 * size[1]:
        maps = F.adaptive_avg_pool2d(maps, (2 * size[0], 2 * size[1]))
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
