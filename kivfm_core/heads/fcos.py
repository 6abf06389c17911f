"""A detector without anchors, by torchvision's own head, loss and box code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.ops import clip_boxes_to_image

from kivfm_core.heads.head import Given, Head, Target
from kivfm_core.heads.objects import as_images, as_targets
from kivfm_core.heads.pyramid import Pyramid, whole_cells
from kivfm_core.predictions import Candidates, Detections
from kivfm_core.spec import TeacherSpec

# Strides of its pyramid, in canvas pixels.
STRIDES = (8, 16, 32, 64)
# Channels of its maps, and convolutions in each of its two branches: half as deep as the paper's.
WIDTH, DEPTH = 96, 2


class FcosHead(Head):
    """FCOS on a feature pyramid (Tian et al., https://arxiv.org/abs/1904.01355).

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        self.model = FCOS(
            Pyramid(self.levels, STRIDES, WIDTH),
            self.classes,
            anchor_generator=AnchorGenerator(
                tuple((stride,) for stride in STRIDES), ((1.0,),) * len(STRIDES)
            ),
            head=FCOSHead(WIDTH, 1, self.classes, DEPTH),
            score_thresh=0.05,  # AP counts boxes of low scores too
        )

    def forward(self, levels: Given, prompt: Any = None) -> Detections:
        """The objects in images, at most 100 each."""
        outputs, anchors, cells = self._outputs(levels)
        number = len(outputs["cls_logits"])
        found = self.model.postprocess_detections(
            {name: list(output.split(cells, 1)) for name, output in outputs.items()},
            [list(anchors.split(cells))] * number,
            [levels.canvas] * number,
        )
        boxes, scores, labels = ([f[key] for f in found] for key in ("boxes", "scores", "labels"))
        return Detections(boxes, scores, labels)

    def candidates(self, levels: Given) -> Candidates:
        """Every place's box and scores, before suppression."""
        outputs, anchors, _ = self._outputs(levels)
        boxes = self.model.box_coder.decode(outputs["bbox_regression"], anchors)
        scores = outputs["cls_logits"].sigmoid() * outputs["bbox_ctrness"].sigmoid()
        return Candidates(
            clip_boxes_to_image(boxes, levels.canvas),
            scores.sqrt(),
            threshold=self.model.score_thresh,
            iou=self.model.nms_thresh,
            most=self.model.detections_per_img,
        )

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """FCOS's: focal loss of the classes, GIoU of the boxes, cross-entropy of centeredness."""
        outputs, anchors, cells = self._outputs(levels)
        wanted = as_targets(targets, first=0)
        losses = self.model.compute_loss(wanted, outputs, [anchors] * len(wanted), cells)
        return torch.stack(list(losses.values())).sum()

    def _outputs(self, levels: Given) -> tuple[dict[str, Tensor], Tensor, list[int]]:
        """What the head says at every place, the places `[N, 4]`, and how many each stride has."""
        area = whole_cells(levels.canvas, STRIDES[-1])
        maps = self.model.backbone(levels, area)
        (anchors,) = self.model.anchor_generator(as_images(1, levels.canvas, area), maps)
        return self.model.head(maps), anchors, [one.shape[-2] * one.shape[-1] for one in maps]
