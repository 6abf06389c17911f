"""Depthwise convolutions that CPUs compute in the precision of their weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself that preserves a map's size.

    Args:
        width: Number of channels.
        kernel: Side of the kernel, an odd number.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=width)

    def forward(self, input: Tensor) -> Tensor:
        """Maps `[B, C, h, w]` to `[B, C, h, w]`."""
        # On CPUs, PyTorch's gradient of this convolution is slow in bfloat16.
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.to(self.weight.dtype) if input.is_cpu else input)
