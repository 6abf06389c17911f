"""Semantic segmentation from a backbone's maps, by torchvision's own heads.

Papers: Chen et al., DeepLabv3, https://arxiv.org/abs/1706.05587; Long et al., FCN,
https://arxiv.org/abs/1411.4038; Howard et al., LR-ASPP, https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models.segmentation.lraspp import LRASPP

from kivfm_core.predictions import SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_teachers.torchvision.model import GivenBackbone, build


class Segmenter(nn.Module):
    """All of a torchvision segmentation model but its backbone."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = build(spec)
        self.model.backbone = GivenBackbone(spec)

    def forward(self, levels: Levels, prompt: None = None) -> SemanticLogits:
        """Gives `logits [B, K, H, W]`, a cell a canvas pixel, from maps `[B, C, h, w]`."""
        canvas = torch.empty(len(levels.frames), 3, *levels.canvas, device="meta")
        try:
            self.model.backbone.levels = levels
            return SemanticLogits(self.model(canvas)["out"])  # it looks at the canvas's size only
        finally:
            self.model.backbone.levels = None

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The scores of every cell."""
        maps = self.model.backbone.maps(levels)
        # LR-ASPP's head takes all maps, the others' the last.
        given = maps if isinstance(self.model, LRASPP) else maps["out"]
        return [Readout(self.model.classifier(given).movedim(1, -1), "choice")]
