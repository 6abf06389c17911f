"""Depthwise convolutions, which a processor computes in their weights' own precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Depthwise(nn.Conv2d):
    """A convolution of every channel by itself that keeps a map's size.

    Args:
        width: Channels.
        kernel: Its odd side.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=width)

    def forward(self, input: Tensor) -> Tensor:
        """Maps `[B, C, h, w]` to `[B, C, h, w]`."""
        # A processor's bfloat16 gradient is slow here.
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.to(self.weight.dtype) if input.is_cpu else input)
