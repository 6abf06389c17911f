"""Instance segmentation: COCO's mask AP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as codec
from numpy.typing import NDArray

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Instances
from kivfm_core.task import Chance, Meter
from kivfm_core.tasks.meters.coco_ap import AveragePrecision


class InstanceSegmentation(Meter):
    """Mask AP."""

    def __init__(self, data: CocoData, space: tuple[str, ...] | None) -> None:
        self.precision = AveragePrecision(data, space or (), "segm")

    def update(
        self, predictions: Instances, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Adds masks, as run lengths at once: a hundred whole masks an image take much memory."""
        found = predictions.to_original(frames)
        for index, item in zip(indices, found, strict=True):
            masks = item["masks"].cpu().numpy().astype(np.uint8).transpose(1, 2, 0)
            runs: Any = codec.encode(np.asfortranarray(masks))
            self.precision.add(index, item, runs)

    def seen(self) -> dict[int, list[dict[str, Any]]]:
        """What was found in each image."""
        return self.precision.found

    def absorb(self, seen: dict[int, list[dict[str, Any]]]) -> None:
        """Adds other images."""
        self.precision.found |= seen

    def compute(self) -> float:
        """AP over IoU 0.50..0.95."""
        return self.precision.compute()

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """AP of the images drawn, accumulated anew."""
        return self.precision.resample(counts)

    def objects(self) -> int:
        """The instances of known categories, crowds left out."""
        return self.precision.objects()

    def chance(self) -> Chance:
        """Who finds nothing scores nothing."""
        return Chance(0.0)

    def notes(self) -> tuple[str, ...]:
        """Categories without an instance."""
        return self.precision.notes()
