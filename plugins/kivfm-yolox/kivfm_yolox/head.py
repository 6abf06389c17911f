"""YOLOX's decoder: the decoupled head, boxes from its outputs, and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from kivfm_core.predictions import Candidates, Detections
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_yolox.layers import Conv, conv3x3

# e^10 times the stride exceeds every canvas: real detectors never come near, and a student's
# wildest guess stays finite.
LARGEST_LOG_SIDE = 10.0


class Head(nn.Module):
    """Two towers a level, one for classes and one for boxes and objectness.

    Args:
        spec: The teacher; its task's levels are what the head reads, its labels the classes.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        task = spec.task("detection")
        self.classes = task.labels
        self.levels = [spec.level(name) for name in task.levels]
        self.confidence, self.nms = spec.config["confidence"], spec.config["nms"]
        c, depthwise = int(256 * spec.config["width"]), spec.config["depthwise"]

        def tower() -> nn.Module:
            return nn.Sequential(*(conv3x3(c, c, 1, depthwise) for _ in range(2)))

        def outputs(channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(c, channels, 1) for _ in self.levels)

        self.stems = nn.ModuleList(Conv(level.channels, c) for level in self.levels)
        self.cls_convs = nn.ModuleList(tower() for _ in self.levels)
        self.reg_convs = nn.ModuleList(tower() for _ in self.levels)
        self.cls_preds, self.reg_preds = outputs(len(task.labels)), outputs(4)
        self.obj_preds = outputs(1)

    def raw(self, levels: Mapping[str, Tensor]) -> list[Tensor]:
        """A `[B, 4 + 1 + K, h, w]` a level: box, objectness and class logits, undecoded."""
        out = []
        for k, level in enumerate(self.levels):
            x = self.stems[k](levels[level.name])
            classes, boxes = self.cls_convs[k](x), self.reg_convs[k](x)
            parts = [self.reg_preds[k](boxes), self.obj_preds[k](boxes), self.cls_preds[k](classes)]
            out.append(torch.cat(parts, dim=1))
        return out

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Objectness, and classes and boxes of the places that find an object, over all levels."""
        raw = torch.cat([x.flatten(2) for x in self.raw(levels)], dim=2).transpose(1, 2)
        boxes, objectness, classes = raw.split([4, 1, len(self.classes)], dim=2)
        score = objectness.detach()[..., 0].sigmoid()
        return [
            Readout(objectness, "binary"),
            Readout(classes, "binary", score),
            Readout(boxes, "number", score),
        ]

    def forward(self, levels: Levels, prompt: None = None) -> Detections:
        """Boxes in canvas pixels, each cell's best class, suppressed class by class.

        Args:
            levels: `p3`, `p4`, `p5`.
            prompt: None; the classes are fixed.
        """
        found = [self._suppress(*cell) for cell in zip(*self._cells(levels), strict=True)]
        boxes, scores, labels = (list(column) for column in zip(*found, strict=True))
        return Detections(boxes, scores, labels)

    def candidates(self, levels: Mapping[str, Tensor]) -> Candidates:
        """Every cell's box, and its score in the column of its best class, before suppression."""
        boxes, scores, labels = self._cells(levels)
        best = labels[..., None] == torch.arange(len(self.classes), device=labels.device)
        columns = torch.where(best, scores[..., None], scores.new_zeros(()))
        return Candidates(boxes, columns, threshold=self.confidence, iou=self.nms)

    def _cells(self, levels: Mapping[str, Tensor]) -> list[Tensor]:
        """Boxes `[B, N, 4]`, scores and labels `[B, N]` of all cells of all levels."""
        strides = [level.stride or 1 for level in self.levels]
        return _join([_decode(x, s) for x, s in zip(self.raw(levels), strides, strict=True)])

    def _suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        sure = scores >= self.confidence
        boxes, scores, labels = boxes[sure], scores[sure], labels[sure]
        keep = batched_nms(boxes, scores, labels, self.nms)
        return boxes[keep], scores[keep], labels[keep]


def _decode(raw: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """`[B, 5 + K, h, w]` to boxes `[B, hw, 4]` (xyxy), scores and labels `[B, hw]`."""
    h, w = raw.shape[2:]
    y, x = torch.arange(h, device=raw.device), torch.arange(w, device=raw.device)
    grid = torch.stack([x.repeat(h), y.repeat_interleave(w)], dim=-1)  # [hw, 2]
    cells = raw.float().flatten(2).transpose(1, 2)  # [B, hw, 5 + K]
    center = (cells[..., :2] + grid) * stride
    half = cells[..., 2:4].clamp(max=LARGEST_LOG_SIDE).exp() * stride / 2
    score, label = cells[..., 5:].sigmoid().max(dim=-1)
    return torch.cat([center - half, center + half], -1), cells[..., 4].sigmoid() * score, label


def _join(levels: list[tuple[Tensor, Tensor, Tensor]]) -> list[Tensor]:
    return [torch.cat(column, dim=1) for column in zip(*levels, strict=True)]


def build_head(spec: TeacherSpec) -> nn.Module:
    """The decoder of a spec, with random weights."""
    return Head(spec)
