"""From a teacher's predictions to the truth of each task, and the table of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.coco import CocoData
from kivfm_core.evaluation.agreement.meters import ClickAgreement, PixelAgreement
from kivfm_core.evaluation.agreement.own_labels import OwnClicks, OwnMaps, pack_map, pack_masks
from kivfm_core.evaluation.measure import MeterKind
from kivfm_core.geometry import Frame
from kivfm_core.task import LabeledImages, Meter, Prompter

# Of a teacher's boxes and masks those with at least this score are the truth: what `kivfm predict`
# shows.
CONFIDENT = 0.3
# So many clicks along each side of an image.
CLICKS = 4


class Measure(NamedTuple):
    """What is measured by a truth.

    Attributes:
        metric: What the score is called, after `agreement`; empty for the task's own metric.
        data: The truth.
        meter: How; None for the task's own meter.
    """

    metric: str
    data: LabeledImages
    meter: MeterKind | None = None


class Truth(Meter):
    """Takes a teacher's predictions of one task as a meter does, and makes labels of them.

    Args:
        paths: The images.
        classes: The names of the teacher's label space, or None.
        labels: The classes of zero-shot.
    """

    def __init__(
        self, paths: tuple[Path, ...], classes: tuple[str, ...] | None, labels: tuple[str, ...]
    ) -> None:
        self.paths, self.classes, self.labels = paths, classes or (), labels

    def update(self, predictions: Any, indices: Sequence[int], frames: Sequence[Frame]) -> None:
        """Takes every image's predictions in original pixels."""
        found = predictions.to_original(frames)
        for index, item, frame in zip(indices, found, frames, strict=True):
            self.take(index, item, frame)

    def take(self, index: int, found: Any, frame: Frame) -> None:
        """Takes one image's predictions."""
        raise NotImplementedError

    def measures(self) -> list[Measure]:
        """What is measured by the predictions so far."""
        raise NotImplementedError


class ClassTruth(Truth):
    """The class of the highest score."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.best = [0] * len(self.paths)

    def take(self, index: int, found: torch.Tensor, frame: Frame) -> None:
        """Takes logits `[K]`."""
        self.best[index] = int(found.argmax())

    def measures(self) -> list[Measure]:
        """Top-1."""
        return [Measure("", ClassData(self.paths, tuple(self.best), None))]


class LabelTruth(ClassTruth):
    """The label of the highest score."""

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The labels."""
        return teacher.prompt("zero-shot", labels=[n.replace("_", " ") for n in self.labels])

    def measures(self) -> list[Measure]:
        """Top-1 among the labels."""
        return [Measure("", ClassData(self.paths, tuple(self.best), self.labels))]


class BoxTruth(Truth):
    """Boxes of which the teacher is confident."""

    masks = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.sizes: list[tuple[int, int]] = [(0, 0)] * len(self.paths)
        self.found: list[list[dict[str, Any]]] = [[] for _ in self.paths]

    def take(self, index: int, found: dict[str, torch.Tensor], frame: Frame) -> None:
        """Takes boxes, and masks if these are compared."""
        self.sizes[index] = frame.original
        sure = found["scores"].cpu() >= CONFIDENT
        boxes, labels = found["boxes"].cpu()[sure].double(), found["labels"].cpu()[sure]
        boxes[:, 2:] -= boxes[:, :2]
        packed: list[Any] = [None] * len(boxes)
        if self.masks:
            packed = pack_masks(found["masks"].cpu()[sure].numpy())
        self.found[index] = [
            {"category_id": int(label) + 1, "bbox": box, "segmentation": mask, "iscrowd": 0}
            for box, label, mask in zip(boxes.tolist(), labels, packed, strict=True)
        ]

    def measures(self) -> list[Measure]:
        """AP."""
        images = tuple(
            {"id": number, "height": height, "width": width}
            for number, (height, width) in enumerate(self.sizes, 1)
        )
        names = tuple({"id": n, "name": name} for n, name in enumerate(self.classes, 1))
        return [Measure("", _Known(self.paths, images, tuple(self.found), names))]


class _Known(CocoData):
    """Instances whose sizes are those of the images: an image that cannot be read has none."""

    def size(self, index: int) -> Any:
        """`(height, width)`, as the image has it."""
        return super().size(index) if self.images[index]["height"] else None


class MaskTruth(BoxTruth):
    """Masks of which the teacher is confident."""

    masks = True


class MapTruth(Truth):
    """The class of the highest score at every pixel."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.maps: dict[int, Any] = {}

    def take(self, index: int, found: torch.Tensor, frame: Frame) -> None:
        """Takes logits `[K, H, W]`."""
        self.maps[index] = pack_map(found.max(dim=0).indices.cpu().numpy())

    def measures(self) -> list[Measure]:
        """Mean IoU, and the share of pixels."""
        data = OwnMaps(self.paths, self.classes, self.maps)
        return [Measure("", data), Measure("pixels", data, PixelAgreement)]


class ClickTruth(Truth):
    """The masks of a grid of clicks; a click for which the teacher finds nothing is left out."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.clicks: dict[int, list[tuple[tuple[float, float], Any]]] = {}

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The grid on every image."""
        points = [
            torch.tensor([frame.to_canvas(*point) for point in grid(frame)]) for frame in frames
        ]
        return teacher.prompt("promptable-segmentation", points=points)

    def take(self, index: int, found: torch.Tensor, frame: Frame) -> None:
        """Takes masks `[P, H, W]`."""
        masks = found.cpu().numpy()
        pairs = zip(grid(frame), pack_masks(masks), masks, strict=True)
        self.clicks[index] = [(point, packed) for point, packed, mask in pairs if mask.any()]

    def measures(self) -> list[Measure]:
        """Mean IoU."""
        return [Measure("mask IoU", OwnClicks(self.paths, self.clicks), ClickAgreement)]


def grid(frame: Frame) -> list[tuple[float, float]]:
    """The clicks `(x, y)` on an image, in original pixels."""
    height, width = frame.original
    places = (np.arange(CLICKS) + 0.5) / CLICKS
    return [(float(x * width), float(y * height)) for y in places for x in places]


TRUTHS: dict[str, type[Truth]] = {
    "classification": ClassTruth,
    "zero-shot": LabelTruth,
    "detection": BoxTruth,
    "instance-segmentation": MaskTruth,
    "semantic-segmentation": MapTruth,
    "promptable-segmentation": ClickTruth,
}
