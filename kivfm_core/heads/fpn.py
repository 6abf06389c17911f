"""A light feature-pyramid head for semantic segmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.heads.head import Given
from kivfm_core.heads.pyramid import Pyramid
from kivfm_core.heads.semantic import SemanticHead
from kivfm_core.layers.resize import resize
from kivfm_core.spec import TeacherSpec

WIDTH = 128
# Strides in canvas pixels. The maps of a plain ViT get one finer stride, for sharper borders.
STRIDES = (4, 8, 16, 32)


class FpnHead(SemanticHead):
    """A feature pyramid whose maps are summed on its finest grid, and a 1 x 1 convolution.

    As the semantic branch of Panoptic FPN (Kirillov et al., https://arxiv.org/abs/1901.02446),
    without its convolutions between strides.

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        finest = min(level.stride for level in self.levels if level.stride is not None)
        strides = [stride for stride in STRIDES if stride >= finest // 2] or STRIDES[-1:]
        self.pyramid = Pyramid(self.levels, strides, WIDTH)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.classify = nn.Conv2d(WIDTH, self.classes, 1)

    def logits(self, levels: Given) -> Tensor:
        """Scores of the classes `[B, K, h, w]` on the pyramid's finest grid."""
        maps = self.pyramid(levels)
        finest = maps[0].shape[-2:]
        summed = torch.stack([resize(one, finest) for one in maps]).sum(0)
        return self.classify(F.relu(self.norm(summed)))
