"""Streaming sums of a level's vectors."""

from __future__ import annotations

import torch
from torch import Tensor


class Sums:
    """Count, sum `[C]` and sum of outer products `[C, C]` of a level's vectors, in float64."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.total = torch.zeros(channels, dtype=torch.float64)
        self.outer = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, level: Tensor) -> None:
        """Adds `[B, C]` or `[B, C, h, w]`."""
        x = level.movedim(1, -1).flatten(0, -2).double().cpu()
        self.count += len(x)
        self.total += x.sum(0)
        self.outer += x.T @ x


def moments(count: int, total: Tensor, outer: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `[C]` and covariance `[C, C]` from such sums."""
    mean = total / count
    return mean, outer / count - mean[:, None] * mean
