"""Promptable segmentation: mean IoU of the mask that one click inside an object gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Masks
from kivfm_core.task import Chance, Meter, Prompter, weighted_means


class ObjectMasks(Protocol):
    """What labels have to offer for this task."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images."""
        ...

    def instances(self, index: int) -> Sequence[Any]:
        """An image's objects that have a mask."""
        ...

    def mask(self, index: int, annotation: Any) -> NDArray[np.bool_]:
        """The mask `[H, W]` of one of them."""
        ...


class PromptableSegmentation(Meter):
    """Mean IoU over all objects, one click each.

    Args:
        data: Images with instances.
        space: Ignored: a click has no class.
    """

    def __init__(self, data: ObjectMasks, space: tuple[str, ...] | None) -> None:
        self.data = data
        # Of each image the IoUs of its objects, and their shares of its pixels.
        self.ious: dict[int, list[float]] = {}
        self.shares: dict[int, list[float]] = {}
        self.masks = lru_cache(maxsize=32)(self._masks)

    def _masks(self, index: int) -> list[NDArray[np.bool_]]:
        masks = [self.data.mask(index, item) for item in self.data.instances(index)]
        return [mask for mask in masks if mask.any()]

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """A click in the middle of every object."""
        points = [
            torch.tensor([frame.to_canvas(*inside(mask)) for mask in self.masks(index)])
            .reshape(-1, 2)
            .to(torch.float32)
            for index, frame in zip(indices, frames, strict=True)
        ]
        return teacher.prompt("promptable-segmentation", points=points)

    def update(self, predictions: Masks, indices: Sequence[int], frames: Sequence[Frame]) -> None:
        """Compares every object's mask with the mask that its click gave."""
        found = predictions.to_original(frames)
        for index, masks in zip(indices, found, strict=True):
            ious, shares = self.ious.setdefault(index, []), self.shares.setdefault(index, [])
            for true, mask in zip(self.masks(index), masks.cpu().numpy(), strict=True):
                shares.append(float(true.mean()))
                ious.append(float((true & mask).sum() / (true | mask).sum()))

    def seen(self) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
        """The images' IoUs, and the shares of their objects."""
        return self.ious, self.shares

    def absorb(self, seen: tuple[dict[int, list[float]], dict[int, list[float]]]) -> None:
        """Adds other images."""
        self.ious |= seen[0]
        self.shares |= seen[1]

    def compute(self) -> float:
        """Mean IoU.

        Raises:
            DataError: If there was no object.
        """
        if not self.objects():
            raise DataError("the images show no object to click on")
        return _mean(self.ious)

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean IoUs over the objects of the images drawn."""
        sums, clicks = np.zeros((2, len(self.data.paths)))
        for index, ious in self.ious.items():
            sums[index], clicks[index] = sum(ious), len(ious)
        return weighted_means(counts, sums, clicks)

    def objects(self) -> int:
        """The objects that were clicked on."""
        return sum(map(len, self.ious.values()))

    def chance(self) -> Chance | None:
        """The mask of the whole image, whatever the click."""
        return Chance(_mean(self.shares)) if self.objects() else None


def _mean(values: Mapping[int, Sequence[float]]) -> float:
    """The mean over all objects, by image: rounding does not depend on who saw which."""
    whole = [value for index in sorted(values) for value in values[index]]
    return sum(whole) / len(whole)


def inside(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The point `(x, y)` of a mask `[H, W]` that is farthest from its edge, by city blocks.

    Example:
        >>> inside(np.pad(np.ones((3, 3), bool), 2))
        (3.5, 3.5)
    """
    # Distances from the edge, by two sweeps along each axis; the image's border is an edge, too.
    far = np.where(np.pad(mask, 1), sum(mask.shape), 0).astype(np.int32)
    for axis in (0, 1):
        steps = np.arange(far.shape[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
        ahead = np.minimum.accumulate(far - steps, axis=axis) + steps
        back = np.flip(np.minimum.accumulate(np.flip(far + steps, axis), axis=axis), axis) - steps
        far = np.minimum(ahead, back)
    y, x = np.unravel_index(int(far[1:-1, 1:-1].argmax()), mask.shape)
    return float(x) + 0.5, float(y) + 0.5
