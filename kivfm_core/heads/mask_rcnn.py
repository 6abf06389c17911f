"""Boxes and masks of objects, by torchvision's own proposals, heads, losses and box code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import (
    MaskRCNN,
    MaskRCNNHeads,
    MaskRCNNPredictor,
)
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

from kivfm_core.heads.head import Given, Head, Target
from kivfm_core.heads.objects import as_images, as_targets
from kivfm_core.heads.pyramid import Pyramid, whole_cells
from kivfm_core.predictions import Instances
from kivfm_core.spec import TeacherSpec

# Strides of its pyramid, in canvas pixels. Boxes are read from all but the last, which is for
# proposals alone.
STRIDES = (8, 16, 32, 64)
NAMES = tuple(f"p{stride}" for stride in STRIDES)
# Channels of its maps, of those that masks are made of, and of the vector of a box.
WIDTH, MASK_WIDTH, VECTOR = 96, 64, 256
# Anchors at every place: their sizes in strides, and their ratios of height to width.
SIZES, RATIOS = (3, 4.5), (0.5, 1.0, 2.0)


class MaskRcnnHead(Head):
    """Mask R-CNN on a feature pyramid (He et al., https://arxiv.org/abs/1703.06870).

    It is narrower than the paper's, and learns from fewer proposals, so that a step on a CPU takes
    seconds at most.

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        classes = self.classes + 1  # the first is the background
        self.model = MaskRCNN(
            Pyramid(self.levels, STRIDES, WIDTH),
            rpn_anchor_generator=AnchorGenerator(
                tuple(tuple(size * stride for size in SIZES) for stride in STRIDES),
                (RATIOS,) * len(STRIDES),
            ),
            rpn_head=RPNHead(WIDTH, len(SIZES) * len(RATIOS)),
            rpn_post_nms_top_n_train=256,
            rpn_post_nms_top_n_test=256,
            box_roi_pool=MultiScaleRoIAlign([*NAMES[:-1]], 7, 2),
            box_head=TwoMLPHead(WIDTH * 7 * 7, VECTOR),
            box_predictor=FastRCNNPredictor(VECTOR, classes),
            box_batch_size_per_image=64,
            mask_roi_pool=MultiScaleRoIAlign([*NAMES[:-1]], 14, 2),
            mask_head=MaskRCNNHeads(WIDTH, (MASK_WIDTH, MASK_WIDTH), 1),
            mask_predictor=MaskRCNNPredictor(MASK_WIDTH, MASK_WIDTH, classes),
        )

    def forward(self, levels: Given, prompt: Any = None) -> Instances:
        """The objects in images with their masks, at most 100 each."""
        found, _ = self._run(levels)
        return Instances(
            [one["boxes"] for one in found],
            [one["scores"] for one in found],
            [one["labels"] - 1 for one in found],
            [one["masks"][:, 0] for one in found],
        )

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """Mask R-CNN's: of the proposals, and of their classes, boxes and masks.

        It draws the proposals that it learns from by torch's random numbers.
        """
        _, losses = self._run(levels, as_targets(targets, first=1))
        return torch.stack(list(losses.values())).sum()

    def _run(
        self, levels: Given, targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Objects in canvas pixels, image by image; while training, losses instead."""
        area = whole_cells(levels.canvas, STRIDES[-1])
        maps = dict(zip(NAMES, self.model.backbone(levels, area), strict=True))
        number = len(maps[NAMES[0]])
        images = as_images(number, levels.canvas, area)
        proposals, losses = self.model.rpn(images, maps, targets)
        found, more = self.model.roi_heads(maps, proposals, [area] * number, targets)
        return found, {**losses, **more}
