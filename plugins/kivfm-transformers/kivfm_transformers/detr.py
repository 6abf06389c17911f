"""DETR: detection as a set, from a backbone's last map.

Paper: Carion et al., End-to-End Object Detection with Transformers,
https://arxiv.org/abs/2005.12872.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert

from kivfm_core.predictions import Detections
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_transformers.model import decoder_half
from kivfm_transformers.stages import GivenMaps, MaskedBackbone


class Encoder(MaskedBackbone):
    """The convolutional backbone."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `dense [B, C, h, w]`."""
        return {"dense": self.maps(x)[-1]}


def _with_mask(maps: list[Tensor], mask: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each map with the canvas's mask `[B, H, W]` in its size."""
    return [(x, F.interpolate(mask[None], size=x.shape[-2:])[0].to(torch.bool)) for x in maps]


class Detector(nn.Module):
    """All of DETR but its backbone; every query gives a detection."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)
        self.given = self.model.model.backbone = GivenMaps(_with_mask)

    def forward(self, levels: Levels, prompt: None = None) -> Detections:
        """Gives boxes from `dense [B, C, h, w]`."""
        mask = levels["dense"].new_zeros(len(levels.frames), *levels.canvas)
        ends = [frame.content for frame in levels.frames]
        for inside, (x0, y0, x1, y1) in zip(mask, ends, strict=True):
            inside[y0:y1, x0:x1] = 1
        out = self.given.run(self.model, levels, mask)
        scores, labels = out.logits.softmax(-1)[..., :-1].max(-1)  # the last is no object
        # Boxes are relative to the image, without its padding.
        content = out.pred_boxes.new_tensor(ends)[:, None]
        sizes = (content[..., 2:] - content[..., :2]).tile(2)
        boxes = box_convert(out.pred_boxes, "cxcywh", "xyxy") * sizes + content[..., :2].tile(2)
        return Detections(list(boxes), list(scores), list(labels))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Every query's class, and its box before the sigmoid, on canvases without padding.

        Queries are learned, so that the same one is compared in student and teacher.
        """
        out = self.given.run(self.model, levels)
        sure = out.logits.detach().softmax(-1)[..., :-1].amax(-1)
        boxes = out.pred_boxes.logit(eps=1e-4)
        return [Readout(out.logits, "choice"), Readout(boxes, "number", sure)]
