"""Tokens as a map."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def as_map(tokens: Tensor, x: Tensor, stride: int) -> Tensor:
    """The map `[B, C, h, w]` of tokens `[B, N, C]`, prefix tokens removed.

    Args:
        tokens: Of a vision transformer, those of the grid last.
        x: The canvas `[B, 3, H, W]` that they come from.
        stride: Canvas pixels a token.
    """
    grid = (x.shape[2] // stride, x.shape[3] // stride)
    return tokens[:, -(grid[0] * grid[1]) :].transpose(1, 2).unflatten(2, grid)


def patch_size(config: Any) -> int:
    """Canvas pixels a token: of a configuration's backbone, its vision tower, or its own."""
    backbone = getattr(config, "backbone_config", None)
    vision = backbone or getattr(config, "vision_config", None) or config
    return vision.patch_size
