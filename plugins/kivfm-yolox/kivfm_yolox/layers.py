"""YOLOX's building blocks, in the batch-norm-folded form: every convolution has a bias.

Submodules bear upstream's names (`conv`, `dconv`, `pconv`, `conv1`, ..., `m`), so that a checkpoint
needs folding, but no renaming. https://github.com/Megvii-BaseDetection/YOLOX
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution and SiLU: `[B, i, H, W] -> [B, o, ceil(H / stride), ceil(W / stride)]`."""

    def __init__(self, i: int, o: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and activates."""
        return F.silu(self.conv(x))


class DepthwiseConv(nn.Module):
    """A 3x3 convolution channel by channel, then a 1x1 across channels, each with SiLU."""

    def __init__(self, i: int, o: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = Conv(i, i, 3, stride, groups=i)
        self.pconv = Conv(i, o)

    def forward(self, x: Tensor) -> Tensor:
        """As `Conv`."""
        return self.pconv(self.dconv(x))


def conv3x3(i: int, o: int, stride: int, depthwise: bool) -> nn.Module:
    """The 3x3 convolution of a network: whole, or (nano) depthwise."""
    return DepthwiseConv(i, o, stride) if depthwise else Conv(i, o, 3, stride)


class Focus(nn.Module):
    """Folds 2x2 pixels into channels and convolves: `[B, 3, H, W] -> [B, o, H / 2, W / 2]`.

    `center` `[3]` is what the checkpoint's training took off a pixel (0 for upstream's present
    models, the mean color for its legacy ones). It cannot move into the convolution's bias: the
    convolution pads with zeros, which stand for that color.
    """

    center: Tensor

    def __init__(self, o: int) -> None:
        super().__init__()
        self.conv = Conv(12, o, 3)
        self.register_buffer("center", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """Order of the quarters: top left, bottom left, top right, bottom right."""
        x = x - self.center.view(3, 1, 1)
        quarters = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(quarters, dim=1))


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, with an optional shortcut: `[B, c, H, W]` to the same."""

    def __init__(self, c: int, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = Conv(c, c)
        self.conv2 = conv3x3(c, c, 1, depthwise)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CSP(nn.Module):
    """Cross-stage partial layer: half of the channels through `n` bottlenecks, half past them.

    `[B, i, H, W] -> [B, o, H, W]`. CSPNet, arXiv:1911.11929.
    """

    def __init__(self, i: int, o: int, n: int, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        half = o // 2
        self.conv1, self.conv2, self.conv3 = Conv(i, half), Conv(i, half), Conv(2 * half, o)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut, depthwise) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        return self.conv3(torch.cat([self.m(self.conv1(x)), self.conv2(x)], dim=1))


class SPP(nn.Module):
    """Spatial pyramid pooling: the map beside its maxima over 5, 9 and 13 cells; same shape."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv(c, c // 2), Conv(2 * c, c)

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        x = self.conv1(x)
        maxima = [F.max_pool2d(x, side, 1, side // 2) for side in (5, 9, 13)]
        return self.conv2(torch.cat([x, *maxima], dim=1))
