"""Where a coarse map and the labels of pixels are compared."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from kivfm_core.layers.resize import resize


def at_places(found: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A map and labels at the same places of canvases: two a cell of the map, at most one a pixel.

    Args:
        found: `[B, C, h, w]` over the canvases; resized bilinearly.
        labels: `[B, H, W]`, a number for each pixel of the canvases; the nearest is taken.

    Returns:
        `[B, C, p, q]`, and `[B, p, q]` as floating-point numbers.
    """
    sides = zip(found.shape[-2:], labels.shape[-2:], strict=True)
    places = [min(2 * cells, pixels) for cells, pixels in sides]
    wanted = F.interpolate(labels[:, None].float(), places, mode="nearest-exact")[:, 0]
    return resize(found, places), wanted
