"""From labels in an image's pixels to labels on its canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
import torchvision.transforms.v2 as T
from numpy.typing import NDArray
from torch import Tensor
from torchvision.tv_tensors import BoundingBoxes, Mask

from kivfm_core.geometry import Frame
from kivfm_core.heads.head import Meters, Target
from kivfm_core.predictions import clip_boxes

# Typed as Any: torchvision's overloads do not list all that it takes.
_as_boxes: Any = BoundingBoxes
# Objects of which less than a pixel is on the canvas are left out.
clean_boxes = T.Compose([T.ClampBoundingBoxes(), T.SanitizeBoundingBoxes()])


class _Classes(Protocol):
    @property
    def targets(self) -> tuple[int, ...]: ...


class _Maps(Protocol):
    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]: ...


class _Depths(Protocol):
    def depth(self, index: int) -> NDArray[np.float64]: ...


class _Objects(Protocol):
    def objects(self, index: int, space: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]: ...

    def mask(self, index: int, annotation: dict[str, Any]) -> NDArray[np.bool_]: ...


def class_target(data: _Classes, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The class of an image."""
    return {"label": data.targets[index]}


def map_target(data: _Maps, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The classes at every pixel of a canvas, taken where its center lies; -1 on padding."""
    original = torch.from_numpy(data.semantic(index, tuple(classes)))
    return {"map": Mask(_on_canvas(original, frame, -1).clamp(min=-1))}


def depth_target(data: _Depths, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The meters at every pixel of a canvas, taken where its center lies; -1 on padding."""
    original = torch.from_numpy(data.depth(index)).float()
    return {"depth": Meters(_on_canvas(original, frame, -1))}


def box_target(data: _Objects, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The boxes and classes of an image's objects; crowds are left out."""
    return _objects_target(data.objects(index, tuple(classes)), frame)


def mask_target(data: _Objects, index: int, frame: Frame, classes: Sequence[str]) -> Target:
    """The boxes, classes and masks of an image's objects; those without a mask are left out."""
    found = [pair for pair in data.objects(index, tuple(classes)) if pair[1].get("segmentation")]
    masks = torch.zeros(len(found), *frame.canvas, dtype=torch.int8)
    for place, (_, item) in enumerate(found):
        masks[place] = _on_canvas(torch.from_numpy(data.mask(index, item)), frame, 0)
    return _objects_target(found, frame, Mask(masks))


def _objects_target(
    found: Sequence[tuple[int, dict[str, Any]]], frame: Frame, masks: Mask | None = None
) -> Target:
    """Objects, given their classes and COCO records, on a canvas."""
    sides = torch.tensor([item["bbox"] for _, item in found], dtype=torch.float32).reshape(-1, 4)
    corners = torch.cat((sides[:, :2], sides[:, :2] + sides[:, 2:]), 1)
    (sx, sy), (tx, ty) = frame.scale, frame.offset
    inside = clip_boxes(corners, frame.original)
    placed = inside * torch.tensor([sx, sy, sx, sy]) + torch.tensor([tx, ty, tx, ty])
    target: Target = {
        "boxes": _as_boxes(placed, format="XYXY", canvas_size=frame.canvas),
        "labels": torch.tensor([label for label, _ in found], dtype=torch.long),
    }
    if masks is not None:
        target["masks"] = masks
    return cast(Target, clean_boxes(target))


def _on_canvas(original: Tensor, frame: Frame, outside: int) -> Tensor:
    """Labels of pixels `[H, W]`, taken where the centers of a canvas's pixels lie."""
    (h, w), (ch, cw) = frame.original, frame.canvas
    (sx, sy), (tx, ty) = frame.scale, frame.offset
    x = ((torch.arange(cw) + 0.5 - tx) / sx).floor().long()
    y = ((torch.arange(ch) + 0.5 - ty) / sy).floor().long()
    seen = original[y.clamp(0, h - 1)][:, x.clamp(0, w - 1)]
    beyond = ((x < 0) | (x >= w)) | ((y < 0) | (y >= h))[:, None]
    return seen.masked_fill(beyond, outside)


def count_classes(target: Target, classes: int) -> Tensor:
    """How often each class occurs in an image's labels `[K]`: as image, pixels, or objects."""
    kept = target.get("map", target.get("labels", target.get("label")))
    found = torch.as_tensor(kept).flatten()
    return torch.bincount(found[found >= 0].long(), minlength=classes)
