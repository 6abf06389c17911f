"""RT-DETR: detection as a set, in real time, from three maps.

Paper: Zhao et al., DETRs Beat YOLOs on Real-time Object Detection,
https://arxiv.org/abs/2304.08069.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.ops import box_convert

from kivfm_core.predictions import Detections
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_transformers.model import decoder_half
from kivfm_transformers.stages import GivenMaps, MaskedBackbone, as_levels


class Encoder(MaskedBackbone):
    """The convolutional backbone."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives maps `[B, C, h, w]`, fine to coarse."""
        return as_levels(self.maps(x))


def _without_mask(maps: list[Tensor], mask: Tensor) -> list[tuple[Tensor, None]]:
    """Each map without its mask: the model does not use it."""
    return [(x, None) for x in maps]


class Detector(nn.Module):
    """All of RT-DETR but its backbone; the best pairs of query and class are the detections."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)
        self.given = self.model.model.backbone = GivenMaps(_without_mask)

    def forward(self, levels: Levels, prompt: None = None) -> Detections:
        """Gives boxes, as many as there are queries, from the maps."""
        out = self.given.run(self.model, levels)
        queries, classes = out.logits.shape[1:]
        scores, index = out.logits.sigmoid().flatten(1).topk(queries)
        height, width = levels.canvas
        size = out.pred_boxes.new_tensor([width, height, width, height])
        boxes = box_convert(out.pred_boxes, "cxcywh", "xyxy") * size
        best = (index // classes)[..., None].expand(-1, -1, 4)
        return Detections(list(boxes.gather(1, best)), list(scores), list(index % classes))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Every place's classes and its box before the sigmoid.

        The queries are made from the best places. They are not compared, since a student's best
        places are others than its teacher's.
        """
        out = self.given.run(self.model, levels)
        classes = out.enc_outputs_class
        # Places at the border have infinite coordinates.
        boxes = out.enc_outputs_coord_logits.clamp(-10, 10)
        sure = classes.detach().sigmoid().amax(-1)
        return [Readout(classes, "binary"), Readout(boxes, "number", sure)]
