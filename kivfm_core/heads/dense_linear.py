"""A linear classifier of every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.heads.head import Given, Head, Target
from kivfm_core.layers.resize import resize
from kivfm_core.predictions import SemanticLogits
from kivfm_core.spec import TeacherSpec


class DenseLinearHead(Head):
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

    def forward(self, levels: Given, prompt: Any = None) -> SemanticLogits:
        """The classes at every place."""
        return SemanticLogits(self.logits(levels))

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """Cross-entropy at places of the canvases that count, two a cell of the finest grid."""
        maps = torch.stack([torch.as_tensor(target.get("map")) for target in targets])[:, None]
        logits = self.logits(levels)
        sides = zip(logits.shape[-2:], maps.shape[-2:], strict=True)
        places = [min(2 * cells, pixels) for cells, pixels in sides]
        logits = resize(logits, places)
        wanted = F.interpolate(maps.float(), places, mode="nearest-exact")[:, 0].long()
        summed = F.cross_entropy(logits, wanted, ignore_index=-1, reduction="sum")
        return summed / max(1, int((wanted >= 0).sum()))
