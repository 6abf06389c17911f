"""What heads for semantic segmentation have in common: their loss, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.heads.head import Given, Head, Target
from kivfm_core.heads.places import at_places
from kivfm_core.predictions import SemanticLogits


class SemanticHead(Head):
    """A head that gives scores of the classes at every place; kinds say how."""

    def logits(self, levels: Given) -> Tensor:
        """Scores of the classes `[B, K, h, w]` on the finest grid."""
        raise NotImplementedError

    def forward(self, levels: Given, prompt: Any = None) -> SemanticLogits:
        """The classes at every place."""
        return SemanticLogits(self.logits(levels))

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """Cross-entropy at places of the canvases that count, two a cell of the finest grid."""
        maps = torch.stack([torch.as_tensor(target.get("map")) for target in targets])
        logits, nearest = at_places(self.logits(levels), maps)
        wanted = nearest.long()
        summed = F.cross_entropy(logits, wanted, ignore_index=-1, reduction="sum")
        return summed / max(1, int((wanted >= 0).sum()))
