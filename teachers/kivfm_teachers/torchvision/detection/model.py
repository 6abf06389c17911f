"""Detections and instances from a feature pyramid, by torchvision's own heads.

Papers: Ren et al., Faster R-CNN, https://arxiv.org/abs/1506.01497; He et al., Mask R-CNN,
https://arxiv.org/abs/1703.06870; Lin et al., RetinaNet, https://arxiv.org/abs/1708.02002; Tian et
al., FCOS, https://arxiv.org/abs/1904.01355.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from kivfm_core.predictions import Detections, Instances
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_teachers.torchvision.model import GivenBackbone, build


class GivenPyramid(GivenBackbone):
    """The given levels, and the map that R-CNN's proposals have on top of them."""

    def maps(self, levels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Adds `pool`, every other cell of the coarsest level, unless that level is declared."""
        maps = super().maps(levels)
        if self.pool:
            coarsest = next(reversed(maps.values()))
            maps["pool"] = F.max_pool2d(coarsest, kernel_size=1, stride=2)
        return maps

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        self.pool: bool = spec.config["pool"]


class GivenCanvas(nn.Module):
    """Stands where torchvision resizes and normalizes: here, the core has made the canvas."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: Levels | None = None

    def forward(self, images: list[Tensor], targets: None = None) -> tuple[ImageList, None]:
        """Gives the sizes that proposals and anchors need; no pixels."""
        assert self.levels is not None
        canvases = torch.empty(len(images), 3, *self.levels.canvas, device="meta")
        return ImageList(canvases, [(x.shape[1], x.shape[2]) for x in images]), targets

    def postprocess(
        self, result: list[dict[str, Tensor]], sizes: Any, originals: Any
    ) -> list[dict[str, Tensor]]:
        """Leaves the predictions in canvas pixels."""
        return result


class Detector(nn.Module):
    """All of a torchvision detector but its backbone."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = build(spec)
        self.model.backbone = GivenPyramid(spec)
        self.model.transform = GivenCanvas()

    def forward(self, levels: Levels, prompt: None = None) -> Detections:
        """Gives boxes, and masks where there are any, from the pyramid `[B, C, h, w]` each."""
        # Boxes are clipped to where the content ends.
        ends = [frame.content[2:] for frame in levels.frames]
        given = self.model.backbone, self.model.transform
        try:
            for module in given:
                module.levels = levels
            found = self.model([torch.empty(3, y, x, device="meta") for x, y in ends])
        finally:
            for module in given:
                module.levels = None
        boxes, scores, labels = ([f[key] for f in found] for key in ("boxes", "scores", "labels"))
        if not all("masks" in f for f in found):
            return Detections(boxes, scores, labels)
        return Instances(boxes, scores, labels, [f["masks"][:, 0] for f in found])

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Every anchor's scores and box: a one-stage detector's, or a region proposal network's."""
        maps = list(self.model.backbone.maps(levels).values())
        if isinstance(self.model, GeneralizedRCNN):
            objectness, deltas = self.model.rpn.head(maps)
            scores, boxes = _flat(objectness, 1), _flat(deltas, 4)
            return _readouts(scores, boxes, scores.detach().sigmoid(), "binary")
        outputs = self.model.head(maps)
        scores, boxes = outputs["cls_logits"], outputs["bbox_regression"]
        if isinstance(self.model, SSD):  # its first class is the background
            sure = scores.detach().softmax(2)[..., 1:].amax(2, keepdim=True)
            return _readouts(scores, boxes, sure, "choice")
        return _readouts(scores, boxes, scores.detach().sigmoid().amax(2, keepdim=True), "binary")


def _flat(maps: Sequence[Tensor], size: int) -> Tensor:
    """`[B, A * size, h, w]` a level to `[B, N, size]`."""
    return torch.cat([x.unflatten(1, (-1, size)).movedim(2, -1).flatten(1, 3) for x in maps], 1)


def _readouts(
    scores: Tensor, boxes: Tensor, sure: Tensor, kind: Literal["choice", "binary"]
) -> list[Readout]:
    return [Readout(scores, kind), Readout(boxes, "number", sure[..., 0])]
