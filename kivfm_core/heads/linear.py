"""A linear classifier of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.heads.head import Given, Head, Target
from kivfm_core.predictions import ClassLogits
from kivfm_core.spec import TeacherSpec


class LinearHead(Head):
    """A batch norm and a linear layer on global levels, and on dense ones averaged.

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        channels = sum(level.channels for level in self.levels)
        self.norm = nn.BatchNorm1d(channels, affine=False)
        self.linear = nn.Linear(channels, self.classes)

    def logits(self, levels: Given) -> Tensor:
        """Scores of the classes `[B, K]`."""
        read = [levels[level.name] for level in self.levels]
        pooled = [one.mean((2, 3)) if one.ndim == 4 else one for one in read]
        return self.linear(self.norm(torch.cat(pooled, 1)))

    def forward(self, levels: Given, prompt: Any = None) -> ClassLogits:
        """The classes of images."""
        return ClassLogits(self.logits(levels))

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """Cross-entropy."""
        logits = self.logits(levels)
        wanted = torch.tensor([target.get("label", -1) for target in targets], device=logits.device)
        counts = wanted >= 0
        return F.cross_entropy(logits[counts], wanted[counts], reduction="sum") / max(
            1, int(counts.sum())
        )
