"""Semantic segmentation: mean IoU over the classes that occur, in original pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.data.label_spaces import match
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import SemanticLogits
from kivfm_core.task import Chance, Meter, weighted_means
from kivfm_core.tasks.meters.classification import absent, no_match


class ClassMaps(Protocol):
    """What labels of any format have to offer for this task."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of their classes."""
        ...

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        """An image's map `[H, W]` of indices into a label space; below 0 what does not count."""
        ...


class SemanticSegmentation(Meter):
    """Mean IoU.

    Args:
        data: Images with a class at every pixel.
        space: The teacher's labels.

    Raises:
        DataError: If the space has none of the data's classes.
    """

    def __init__(self, data: ClassMaps, space: tuple[str, ...] | None) -> None:
        self.data, self.space = data, space or ()
        names = data.classes
        known = {self.space[i] for i in match(names, self.space) if i is not None}
        if not known - {"background", "__background__"}:
            raise no_match(names, self.space)
        k = len(self.space)
        self.confusion = torch.zeros(k, k, dtype=torch.long)
        # Of each image and class the pixels that are right, and those that are of the class by the
        # labels, by the prediction, or by both.
        self.right = np.zeros((len(data.paths), k))
        self.true, self.union = np.zeros_like(self.right), np.zeros_like(self.right)
        self.labeled = 0

    def update(
        self, predictions: SemanticLogits, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Counts the pixels of every image."""
        maps = predictions.to_original(frames)
        for index, logits in zip(indices, maps, strict=True):
            target = torch.from_numpy(self.data.semantic(index, self.space))
            if target.shape != logits.shape[1:]:
                raise DataError(
                    f"{self.data.paths[index]} has {tuple(logits.shape[1:])} pixels (height,"
                    f" width), its labels {tuple(target.shape)}"
                )
            self.labeled += bool((target >= 0).any())
            label = logits.max(dim=0).indices  # twice as fast as argmax on a CPU
            pixels = confusion(target, label.cpu(), len(self.space))
            self.confusion += pixels
            self.right[index], self.true[index] = pixels.diagonal(), pixels.sum(1)
            self.union[index] = pixels.sum(0) + pixels.sum(1) - pixels.diagonal()

    def seen(self) -> tuple[Any, ...]:
        """The counts of pixels, of all images and of each."""
        return self.confusion, self.right, self.true, self.union, self.labeled

    def absorb(self, seen: tuple[Any, ...]) -> None:
        """Adds the counts of other images."""
        confusion, right, true, union, labeled = seen
        self.confusion += confusion
        self.right += right
        self.true += true
        self.union += union
        self.labeled += labeled

    def compute(self) -> float:
        """Mean IoU over the classes that the labels show."""
        return mean_iou(self.confusion)

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean IoUs over the classes that the labels of the images drawn show."""
        iou = weighted_means(counts, self.right, self.union)
        occurs = counts @ self.true > 0
        number = occurs.sum(axis=1)
        return np.where(occurs, iou, 0).sum(axis=1) / np.where(number > 0, number, np.nan)

    def objects(self) -> int:
        """The images with a pixel of a class that the teacher knows."""
        return self.labeled

    def chance(self) -> Chance | None:
        """One class at every pixel: the most frequent, whose IoU is its share; the others' is 0."""
        true = self.confusion.sum(1)
        occur = int((true > 0).sum())
        return Chance(float(true.max() / true.sum()) / occur) if occur else None

    def notes(self) -> tuple[str, ...]:
        """Classes that the teacher knows, and no pixel shows."""
        shown = (self.confusion.sum(1) > 0).tolist()
        where = match(self.data.classes, self.space)
        pairs = zip(self.data.classes, where, strict=True)
        return absent([name for name, label in pairs if label is not None and not shown[label]])


def confusion(target: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Counts pixels by true and predicted class: `[K, K]`; targets below zero do not count."""
    counts = target >= 0
    pairs = target[counts] * classes + predicted[counts]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def mean_iou(confusion: Tensor) -> float:
    """Mean IoU of a confusion matrix `[K, K]` over the true classes that occur.

    Raises:
        DataError: If none does.
    """
    true, predicted, both = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    occurs = true > 0
    if not occurs.any():
        raise DataError("no pixel has a class that the teacher knows")
    return float((both / (true + predicted - both))[occurs].double().mean())
