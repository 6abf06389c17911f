"""Resizes images, or a part of one: only what shows is computed, however large the whole would be.

torchvision's `resize` makes the same call of torch, and gives the same bits; importing it takes
longer than importing torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.geometry import Box, Size


def resize(images: Tensor, size: Sequence[int], filter_: str, antialias: bool) -> Tensor:
    """What `torchvision.transforms.v2.functional.resize` gives, bit for bit.

    Args:
        images: float `[..., C, H, W]`.
        size: `(h, w)` of the result, in pixels.
        filter_: `nearest`, `bilinear` or `bicubic`.
        antialias: Whether the filter is widened where the image gets smaller.

    Returns:
        `[..., C, h, w]`; bicubic may overshoot.
    """
    batch = images.reshape(-1, *images.shape[-3:])
    smooth = filter_ != "nearest"
    out = F.interpolate(
        batch,
        list(size),
        mode=filter_,
        align_corners=False if smooth else None,
        antialias=antialias and smooth,
    )
    return out.reshape(*images.shape[:-2], *size)


def resize_part(image: Tensor, size: Size, box: Box, filter_: str, antialias: bool) -> Tensor:
    """What `torchvision.transforms.v2.functional.resize` gives, cut to a box, up to rounding.

    Args:
        image: `[C, H, W]`, uint8 or float.
        size: `(h, w)` that the whole image is resized to, in pixels.
        box: `(x0, y0, x1, y1)` of the result, in pixels.
        filter_: `nearest`, `bilinear` or `bicubic`.
        antialias: Whether the filter is widened where the image gets smaller.

    Returns:
        float32 `[C, y1 - y0, x1 - x0]`, in units of the image; bicubic may overshoot.
    """
    x0, y0, x1, y1 = box
    rows, down = _axis(image.shape[1], size[0], (y0, y1), filter_, antialias)
    columns, across = _axis(image.shape[2], size[1], (x0, x1), filter_, antialias)
    return down @ image[:, rows, columns].float() @ across.T


def _axis(
    old: int, new: int, span: tuple[int, int], filter_: str, antialias: bool
) -> tuple[slice, Tensor]:
    """The source pixels that a span of resized ones needs, and their weights, along one axis."""
    scale = old / new
    if filter_ == "nearest":
        # In float32, as in torch, whose rounding decides between two pixels.
        picked = (
            (torch.arange(*span).float() * torch.tensor(scale).float()).long().clamp(max=old - 1)
        )
        inside = slice(int(picked[0]), int(picked[-1]) + 1)
        return inside, (torch.arange(inside.start, inside.stop) == picked[:, None]).float()
    centers = scale * (torch.arange(*span, dtype=torch.float64) + 0.5)
    wide = max(scale, 1.0) if antialias else 1.0
    reach = wide * (1 if filter_ == "bilinear" else 2)
    start, stop = int(centers[0] - reach) - 1, int(centers[-1] + reach) + 2
    places = torch.arange(start, stop)
    weights = _filter((places + 0.5 - centers[:, None]).abs() / wide, filter_, antialias)
    inside = slice(max(start, 0), min(stop, old))
    if antialias:  # pixels beyond the border do not count
        weights = weights[:, inside.start - start : inside.stop - start]
        return inside, (weights / weights.sum(1, keepdim=True)).float()
    # Beyond the border is the border's pixel again.
    there = places.clamp(0, old - 1) - inside.start
    folded = weights.new_zeros(len(weights), inside.stop - inside.start)
    return inside, folded.index_add_(1, there, weights).float()


def _filter(distance: Tensor, filter_: str, antialias: bool) -> Tensor:
    if filter_ == "bilinear":
        return (1 - distance).clamp(min=0)
    a = -0.5 if antialias else -0.75  # as in torch
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
