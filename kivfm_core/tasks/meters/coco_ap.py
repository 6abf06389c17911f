"""COCO's average precision, as its own evaluation defines it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as codec
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.data.formats.coco import CocoData, run_lengths
from kivfm_core.data.label_spaces import match
from kivfm_core.errors import DataError
from kivfm_core.tasks.meters.classification import absent, no_match
from kivfm_core.tasks.meters.coco_matches import ClassMatches, read_matches


class AveragePrecision:
    """AP over IoU 0.50..0.95, of boxes or masks, over the categories that the teacher knows.

    Args:
        data: Images with instances.
        space: The teacher's labels.
        kind: Which overlap counts.

    Raises:
        DataError: If no category is in the space.
    """

    def __init__(self, data: CocoData, space: tuple[str, ...], kind: Literal["bbox", "segm"]):
        self.data = data
        self.kind: Literal["bbox", "segm"] = kind
        ids, names = list(data.names), list(data.names.values())
        where = match(names, space)
        # Several categories can mean one label of the teacher: they are one class then.
        self.label_of = {
            id: label for id, label in zip(ids, where, strict=True) if label is not None
        }
        self.labels = set(self.label_of.values())
        if not self.labels:
            raise no_match(names, space)
        # Of each image, the objects that were found.
        self.found: dict[int, list[dict[str, Any]]] = {}
        # Of each class, as the figures of the images so far were made of them.
        self.matches: list[ClassMatches] = []

    def add(self, index: int, item: dict[str, Tensor], masks: Sequence[Any] | None = None) -> None:
        """Adds an image's detections, in original pixels, and run lengths of their masks."""
        own_found = self.found.setdefault(index, [])
        corners = item["boxes"].double().cpu()
        boxes = torch.cat((corners[:, :2], corners[:, 2:] - corners[:, :2]), dim=1)
        scores, labels = item["scores"].tolist(), item["labels"].tolist()
        image = self.data.images[index]["id"]
        for i, (box, score, label) in enumerate(zip(boxes.tolist(), scores, labels, strict=True)):
            if label in self.labels:
                # No box beside a mask: the evaluation would take the box's area for the mask's.
                where = {"bbox": box} if masks is None else {"segmentation": masks[i]}
                own = {"image_id": image, "category_id": label, "score": score}
                own_found.append({**own, **where})

    @property
    def seen(self) -> list[int]:
        """The images so far, in the order of the data: figures do not depend on who saw which."""
        return sorted(self.found)

    def compute(self) -> float:
        """COCO's AP over the images so far.

        Raises:
            DataError: If these have no instance of a known category.
        """
        stats = self.stats()
        if stats[0] < 0:
            raise DataError("the images show no instance of a class that the teacher knows")
        return float(stats[0])

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """AP of each draw of the images for which it was computed last; see `Meter.resample`."""
        sums, classes = np.zeros((2, len(counts)))
        for own in self.matches:
            precision = own.precision(counts)
            known = ~np.isnan(precision)
            sums[known] += precision[known]
            classes += known
        return sums / np.where(classes > 0, classes, np.nan)

    def objects(self) -> int:
        """The instances of known categories, crowds left out."""
        return sum(not item["iscrowd"] for item in self._truth()["annotations"])

    def notes(self) -> tuple[str, ...]:
        """Categories without an instance."""
        shown = {item["category_id"] for items in self.data.annotations for item in items}
        return absent([name for id, name in self.data.names.items() if id not in shown])

    def stats(self) -> Sequence[float]:
        """COCO's twelve figures: AP, AP50, AP75, ..."""
        truth = COCO(self._truth())
        evaluator = COCOeval_faster(
            truth,
            truth.loadRes([item for index in self.seen for item in self.found[index]]),
            self.kind,
            print_function=_silent,
            separate_eval=True,
        )
        evaluator.params.catIds = sorted(self.labels)
        evaluator.params.imgIds = sorted(self.data.images[i]["id"] for i in self.seen)
        evaluator.run()
        where = {self.data.images[index]["id"]: index for index in self.seen}
        self.matches = read_matches(evaluator, where, len(self.data.paths))
        return evaluator.stats

    def _truth(self) -> dict[str, Any]:
        """The images so far in COCO's form, with every field that its evaluation reads."""
        annotations: list[dict[str, Any]] = []
        for index in self.seen:
            image = self.data.images[index]["id"]
            for item in self.data.annotations[index]:
                label = self.label_of.get(item["category_id"])
                if label is None or (self.kind == "segm" and not item.get("segmentation")):
                    continue
                # Ids count from 1: the evaluation takes 0 for "not matched".
                own = {"image_id": image, "category_id": label, "id": len(annotations) + 1}
                area = item["bbox"][2] * item["bbox"][3]
                if self.kind == "segm":
                    own["segmentation"] = run_lengths(item["segmentation"], *self.data.size(index))
                    area = float(codec.area(own["segmentation"]))
                annotations.append({"iscrowd": 0, "area": area, **item, **own})
        return {
            "images": [self.data.images[index] for index in self.seen],
            "annotations": annotations,
            "categories": [{"id": label} for label in sorted(self.labels)],
        }


def _silent(*text: object) -> None:
    """Discards the table that the evaluation prints."""
