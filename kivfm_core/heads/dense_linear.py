"""A linear classifier of every place."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from kivfm_core.heads.head import Given
from kivfm_core.heads.semantic import SemanticHead
from kivfm_core.layers.resize import resize
from kivfm_core.spec import TeacherSpec


class DenseLinearHead(SemanticHead):
    """Batch norm and a 1 x 1 convolution on all maps, resized to the grid of the finest.

    The maps are not concatenated: the convolution is linear, so each map has its share of it, on
    its own grid, and what is resized are scores, of which there are fewer than channels.

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        # Names of modules have no dots.
        self.shares = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(level.channels), nn.Conv2d(level.channels, self.classes, 1)
            )
            for level in self.levels
        )

    def logits(self, levels: Given) -> Tensor:
        """Scores of the classes `[B, K, h, w]` on the finest grid."""
        maps = [levels[level.name] for level in self.levels]
        finest = max(cast(tuple[int, int], tuple(one.shape[-2:])) for one in maps)
        shares = [share(one) for share, one in zip(self.shares, maps, strict=True)]
        return torch.stack([resize(share, finest) for share in shares]).sum(0)
