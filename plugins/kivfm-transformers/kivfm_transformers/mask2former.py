"""Mask2Former: masks of instances or of classes, from four maps.

Paper: Cheng et al., Masked-attention Mask Transformer, https://arxiv.org/abs/2112.01527.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import masks_to_boxes

from kivfm_core.predictions import Instances, SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_transformers.model import decoder_half, encoder_half
from kivfm_transformers.stages import GivenMaps, as_levels


class Encoder(nn.Module):
    """The backbone."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives maps `[B, C, h, w]`, fine to coarse."""
        return as_levels(self.model.model.pixel_level_module.encoder(x).feature_maps)


def _as_backbone(maps: list[Tensor]) -> Any:
    """The maps as a backbone returns them."""
    return SimpleNamespace(feature_maps=maps)


class _Segmenter(nn.Module):
    """All of Mask2Former but its backbone."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)
        self.given = GivenMaps(_as_backbone)
        self.model.model.pixel_level_module.encoder = self.given

    def queries(self, levels: Levels) -> tuple[Tensor, Tensor]:
        """Each query's classes `[B, Q, K]`, as probabilities, and mask `[B, Q, H, W]`, as logits.

        The masks have the canvas's size, as in the authors' own code.
        """
        out = self.given.run(self.model, levels)
        classes = out.class_queries_logits.softmax(-1)[..., :-1]  # the last is no object
        masks = F.interpolate(
            out.masks_queries_logits, levels.canvas, mode="bilinear", align_corners=False
        )
        return classes, masks


class SemanticSegmenter(_Segmenter):
    """Scores of classes at every pixel, summed over the queries."""

    def forward(self, levels: Levels, prompt: None = None) -> SemanticLogits:
        """Gives scores `[B, K, H, W]` from the maps."""
        classes, masks = self.queries(levels)
        return SemanticLogits(torch.einsum("bqk,bqhw->bkhw", classes, masks.sigmoid()))


class InstanceSegmenter(_Segmenter):
    """The best pairs of query and class, scored by the class and by the mask's mean probability."""

    def forward(self, levels: Levels, prompt: None = None) -> Instances:
        """Gives instances, at most as many as there are queries, from the maps."""
        found = [self._instances(c, m) for c, m in zip(*self.queries(levels), strict=True)]
        boxes, scores, labels, masks = (list(column) for column in zip(*found, strict=True))
        return Instances(boxes, scores, labels, masks, region="canvas")

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Every query's class, and its mask, which counts as much as the class.

        Queries are learned, so that the same one is compared in student and teacher. The semantic
        decoder has the same weights and no readout: it would count everything twice.
        """
        out = self.given.run(self.model, levels)
        classes, masks = out.class_queries_logits, out.masks_queries_logits
        sure = classes.detach().softmax(-1)[..., :-1].amax(-1)
        share = (sure[..., None, None] / masks[0, 0].numel()).expand(masks.shape)
        return [Readout(classes, "choice"), Readout(masks[..., None], "binary", share)]

    def _instances(self, classes: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scores, index = classes.flatten().topk(len(masks))
        masks = masks[index // classes.shape[1]]
        inside = masks > 0
        masks = masks.sigmoid()
        area = inside.sum((1, 2))
        scores = scores * (masks * inside).sum((1, 2)) / (area + 1e-6)
        seen = area > 0
        boxes = masks_to_boxes(inside[seen])
        boxes[:, 2:] += 1  # a pixel has an extent
        return boxes, scores[seen], (index % classes.shape[1])[seen], masks[seen]
