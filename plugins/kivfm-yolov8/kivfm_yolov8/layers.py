"""YOLOv8's building blocks, with batch norm folded: every convolution has a bias.

Written from the published description of the architecture (https://arxiv.org/abs/2408.15857).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution and SiLU: `[B, i, H, W] -> [B, o, ceil(H / stride), ceil(W / stride)]`."""

    def __init__(self, i: int, o: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and activates."""
        return F.silu(self.conv(x))


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, with an optional shortcut: `[B, c, H, W]` to the same."""

    def __init__(self, c: int, shortcut: bool) -> None:
        super().__init__()
        self.a, self.b, self.shortcut = Conv(c, c, 3), Conv(c, c, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y = self.b(self.a(x))
        return x + y if self.shortcut else y


class C2f(nn.Module):
    """Half of the channels go through a chain of `n` bottlenecks, and every link's output is kept.

    `[B, i, H, W] -> [B, o, H, W]`.
    """

    def __init__(self, i: int, o: int, n: int, shortcut: bool) -> None:
        super().__init__()
        half = o // 2
        self.split, self.join = Conv(i, o), Conv((2 + n) * half, o)
        self.chain = nn.ModuleList(Bottleneck(half, shortcut) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        kept = list(self.split(x).chunk(2, dim=1))
        for link in self.chain:
            kept.append(link(kept[-1]))
        return self.join(torch.cat(kept, dim=1))


class SPPF(nn.Module):
    """The map beside its maxima over 5, 9 and 13 cells: `[B, c, H, W]` to the same.

    The larger windows are the smallest one, repeated.
    """

    def __init__(self, c: int) -> None:
        super().__init__()
        self.reduce, self.join = Conv(c, c // 2), Conv(2 * c, c)

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        kept = [self.reduce(x)]
        for _ in range(3):
            kept.append(F.max_pool2d(kept[-1], 5, 1, 2))
        return self.join(torch.cat(kept, dim=1))
