"""A light feature-pyramid head for semantic segmentation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.heads.head import Given
from kivfm_core.heads.pyramid import FINE_WIDTH, FinePyramid
from kivfm_core.heads.semantic import SemanticHead
from kivfm_core.spec import TeacherSpec


class FpnHead(SemanticHead):
    """A feature pyramid whose maps are summed on its finest grid, and a 1 x 1 convolution.

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        self.pyramid = FinePyramid(self.levels)
        self.norm = nn.BatchNorm2d(FINE_WIDTH)
        self.classify = nn.Conv2d(FINE_WIDTH, self.classes, 1)

    def logits(self, levels: Given) -> Tensor:
        """Scores of the classes `[B, K, h, w]` on the pyramid's finest grid."""
        return self.classify(F.relu(self.norm(self.pyramid.summed(levels))))
