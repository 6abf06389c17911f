"""What decoders return: typed predictions in canvas pixels, and the way back to the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.geometry import Frame

# Scores that compete in the suppression of one image: a trained detector has far fewer, but the
# first guesses of a student may exceed the threshold everywhere.
BUSIEST = 30_000


class Predictions(Protocol):
    """What a decoder returns for one batch; a dataclass of tensors, and of lists of tensors."""

    def to_original(self, frames: Sequence[Frame]) -> list[Any]:
        """An item an image, in the original's pixels, as meters and drawings take it."""
        ...

    def numbers(self) -> list[Tensor]:
        """A tensor an image: what the prediction is made of, such as logits.

        The conformance kit compares these, of an image alone and in a batch.
        """
        ...


def boxes_to_original(boxes: Tensor, frame: Frame) -> Tensor:
    """Maps boxes `[N, 4]` (xyxy) from canvas to original pixels, not clipped to the image."""
    (sx, sy), (tx, ty) = frame.scale, frame.offset
    if frame.flip:  # the canvas's right is the original's left
        boxes = boxes[:, [2, 1, 0, 3]]
    shift, factor = boxes.new_tensor([tx, ty, tx, ty]), boxes.new_tensor([sx, sy, sx, sy])
    return (boxes - shift) / factor


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Clips boxes `[N, 4]` to an image of `(height, width)`."""
    h, w = size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([w, h, w, h]))


def maps_to_original(maps: Tensor, frame: Frame, outside: float = 0.0) -> Tensor:
    """Samples maps that cover a canvas at every pixel of the original, bilinearly.

    Args:
        maps: `[K, h, w]`, of any resolution.
        frame: The canvas's frame.
        outside: Value where the canvas does not show the original (a central crop).

    Returns:
        `[K, H, W]` in original pixels.
    """
    (h, w), (ch, cw) = frame.original, frame.canvas
    (sx, sy), (tx, ty) = frame.scale, frame.offset
    x = (sx * (torch.arange(w, device=maps.device) + 0.5) + tx) / cw * 2 - 1
    y = (sy * (torch.arange(h, device=maps.device) + 0.5) + ty) / ch * 2 - 1
    grid = torch.stack([x.expand(h, w), y[:, None].expand(h, w)], dim=-1).to(maps.dtype)
    out = F.grid_sample(maps[None], grid[None], padding_mode="border", align_corners=False)[0]
    hidden = (x.abs() > 1).expand(h, w) | (y.abs() > 1)[:, None].expand(h, w)
    return out.masked_fill_(hidden, outside) if hidden.any() else out


@dataclass(frozen=True)
class ClassLogits:
    """Scores of classes: `logits [B, K]`."""

    logits: Tensor

    def to_original(self, frames: Sequence[Frame]) -> list[Tensor]:
        """One `[K]` an image."""
        return list(self.logits)

    def numbers(self) -> list[Tensor]:
        """The logits, an image each."""
        return list(self.logits)


@dataclass(frozen=True)
class Detections:
    """Boxes: an image each, `boxes [N, 4]` (xyxy), `scores [N]` in [0, 1], `labels [N]`."""

    boxes: list[Tensor]
    scores: list[Tensor]
    labels: list[Tensor]

    def to_original(self, frames: Sequence[Frame]) -> list[dict[str, Tensor]]:
        """One `{boxes, scores, labels}` an image, boxes in original pixels."""
        return [
            {
                "boxes": clip_boxes(boxes_to_original(boxes, frame), frame.original),
                "scores": scores,
                "labels": labels,
            }
            for boxes, scores, labels, frame in zip(
                self.boxes, self.scores, self.labels, frames, strict=True
            )
        ]

    def numbers(self) -> list[Tensor]:
        """The scores, an image each, highest first: boxes of equal score may swap places."""
        return [scores.sort(descending=True).values for scores in self.scores]


@dataclass(frozen=True)
class Candidates:
    """What a detector finds before suppression, for exports: a fixed number of boxes an image.

    A decoder offers it by a method `candidates(levels)`. Its predictions are these, suppressed
    class by class. One that segments objects offers `masked_candidates(levels)`, too: so many of
    the best that their masks are worth computing, with these.

    Attributes:
        boxes: `[B, N, 4]`, xyxy in canvas pixels.
        scores: `[B, N, K]` in [0, 1], K classes.
        threshold: Lower scores are left out.
        iou: Of two boxes of one class that overlap by more, the better one stays.
        most: So many are kept of an image, at most; None: all.
        masks: Probabilities, `[B, N, m, m]` inside each box (`region="box"`) or `[B, N, h, w]` over
            the canvas; of `masked_candidates`.
        region: What a mask covers.
        mask_threshold: Probability above which a pixel belongs to the object.
    """

    boxes: Tensor
    scores: Tensor
    threshold: float
    iou: float
    most: int | None = None
    masks: Tensor | None = None
    region: Literal["box", "canvas"] = "box"
    mask_threshold: float = 0.5

    def chosen(self) -> tuple[Detections, list[Tensor]]:
        """What remains, class by class, the best first, and which candidates these were.

        A candidate can remain for several classes. Of an image's scores the highest `BUSIEST`
        compete.
        """
        # Takes a second to import, and only detectors need it.
        from torchvision.ops import batched_nms

        found: list[tuple[Tensor, Tensor, Tensor]] = []
        places: list[Tensor] = []
        for box, score in zip(self.boxes, self.scores, strict=True):
            place, label = (score > self.threshold).nonzero(as_tuple=True)
            sure = score[place, label]
            if len(sure) > BUSIEST:
                sure, index = sure.topk(BUSIEST)
                place, label = place[index], label[index]
            best = batched_nms(box[place], sure, label, self.iou)[: self.most]
            place = place[best]
            found.append((box[place], sure[best], label[best]))
            places.append(place)
        return Detections(*([one[i] for one in found] for i in range(3))), places


@dataclass(frozen=True)
class Instances(Detections):
    """Boxes with masks, as probabilities, an image each.

    Attributes:
        masks: `[N, m, m]` inside each box (`region="box"`) or `[N, h, w]` over the whole canvas.
        region: What a mask covers.
        threshold: Probability above which a pixel belongs to the object.
    """

    masks: list[Tensor]
    region: Literal["box", "canvas"] = "box"
    threshold: float = 0.5

    def to_original(self, frames: Sequence[Frame]) -> list[dict[str, Tensor]]:
        """Adds `masks`, bool `[N, H, W]` in original pixels, to the detections."""
        found = super().to_original(frames)
        for item, boxes, masks, frame in zip(found, self.boxes, self.masks, frames, strict=True):
            if self.region == "box":
                masks = masks.flip(-1) if frame.flip else masks
                # A mask fills its whole box, whatever part of that the image shows.
                whole = paste_masks(masks, boxes_to_original(boxes, frame), frame.original)
            else:
                whole = maps_to_original(masks, frame)
            item["masks"] = whole > self.threshold
        return found


def paste_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Pastes box masks `[N, m, m]` at `boxes [N, 4]` into images: `[N, H, W]`.

    torchvision's own pasting, so that Mask R-CNN's masks equal the original model's.
    """
    # Takes a second to import, and only Mask R-CNN's masks need it.
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    pasted = masks.new_zeros((len(masks), *size))
    # torchvision fails on a box that lies beside the image, as in a letterbox's padding.
    h, w = size
    inside = (boxes[:, :2] < boxes.new_tensor([w, h])).all(1) & (boxes[:, 2:] >= 0).all(1)
    if inside.any():
        pasted[inside] = paste_masks_in_image(masks[inside, None], boxes[inside], size)[:, 0]
    return pasted


@dataclass(frozen=True)
class SemanticLogits:
    """Scores of classes at every place: `logits [B, K, h, w]` over the canvas."""

    logits: Tensor

    def to_original(self, frames: Sequence[Frame]) -> list[Tensor]:
        """One `[K, H, W]` an image, in original pixels."""
        return [maps_to_original(x, f) for x, f in zip(self.logits, frames, strict=True)]

    def numbers(self) -> list[Tensor]:
        """The logits, an image each."""
        return list(self.logits)


@dataclass(frozen=True)
class Masks:
    """A mask for each prompt.

    Attributes:
        logits: An image each, `[P, h, w]` over the whole canvas, above 0 inside.
        scores: An image each, `[P]`: the IoU in 0..1 that the decoder expects of each mask; None
            if it expects nothing.
    """

    logits: list[Tensor]
    scores: list[Tensor] | None = None

    def to_original(self, frames: Sequence[Frame]) -> list[Tensor]:
        """One bool `[P, H, W]` an image, in original pixels."""
        return [
            maps_to_original(x, f, outside=-1.0) > 0
            for x, f in zip(self.logits, frames, strict=True)
        ]

    def numbers(self) -> list[Tensor]:
        """The logits, an image each."""
        return list(self.logits)


DepthKind = Literal["relative", "metric"]


@dataclass(frozen=True)
class DepthMap:
    """The depth of one image.

    Attributes:
        depth: `[H, W]` in original pixels; NaN where the canvas does not show the image.
        kind: What the values are, as in `DepthMaps`.
    """

    depth: Tensor
    kind: DepthKind


@dataclass(frozen=True)
class DepthMaps:
    """The depth of a batch.

    Attributes:
        depth: `[B, h, w]` over the canvas.
        kind: `relative`: inverse depth, up to an unknown scale and shift, near is high;
            `metric`: distance in meters, near is low.
    """

    depth: Tensor
    kind: DepthKind

    def to_original(self, frames: Sequence[Frame]) -> list[DepthMap]:
        """One map `[H, W]` an image, in original pixels."""
        return [
            DepthMap(maps_to_original(depth[None], frame, outside=nan)[0], self.kind)
            for depth, frame in zip(self.depth, frames, strict=True)
        ]

    def numbers(self) -> list[Tensor]:
        """The maps, an image each."""
        return list(self.depth)
