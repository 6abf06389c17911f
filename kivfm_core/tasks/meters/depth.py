"""The score of depth: delta 1, the share of pixels whose depth is right within a quarter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import DepthMap, DepthMaps
from kivfm_core.task import Chance, Meter, weighted_means

RATIO = 1.25
# Inverse depth (1/m) below this is set to it: aligned values may be zero or negative.
FARTHEST = 1e-3
# Depths in meters between which a constant guess is looked for: so many steps to a factor of RATIO.
STEPS = 16
EDGES = np.exp(np.arange(np.log(1e-3), np.log(1e5), np.log(RATIO) / STEPS))


class DepthLabels(Protocol):
    """What labels of any format have to offer for this task."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images."""
        ...

    def depth(self, index: int) -> NDArray[Any]:
        """An image's depth `[H, W]` in meters; zero where it was not measured."""
        ...


class Depth(Meter):
    """Mean delta 1, and mean AbsRel beside it.

    Relative depth is aligned first: the scale and shift that fit its inverse depth best to the
    truth, by least squares over the measured pixels of each image, as MiDaS (Ranftl et al.,
    https://arxiv.org/abs/1907.01341) and Depth Anything (https://arxiv.org/abs/2401.10891) do.
    Metric depth is compared as it is.

    Args:
        data: Images with measured depth.
        classes: Unused: depth has no labels.
    """

    def __init__(self, data: DepthLabels, classes: tuple[str, ...] | None = None) -> None:
        self.data = data
        self.metric = True
        # How much of the images lies between two of the edges: an image's parts add up to 1.
        self.spread = np.zeros(len(EDGES) - 1)
        # Delta 1 and AbsRel of each image that has a measured pixel.
        self.errors: dict[int, tuple[float, float]] = {}

    def update(
        self, predictions: DepthMaps, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Compares every image's map with the measured one.

        Raises:
            DataError: If a measured map has another size than its image.
        """
        found = predictions.to_original(frames)
        for index, frame, predicted in zip(indices, frames, found, strict=True):
            true = torch.from_numpy(self.data.depth(index))
            if true.shape != frame.original:
                raise DataError(
                    f"{self.data.paths[index]} has {frame.original} pixels (height, width), its"
                    f" depth {tuple(true.shape)}"
                )
            errors = compare(predicted, true)
            if errors is not None:
                self.errors[index] = errors
                self.metric &= predicted.kind == "metric"
                known = true[true > 0]
                self.spread += np.histogram(known.numpy(), EDGES)[0] / len(known)

    @property
    def delta1(self) -> list[float]:
        """Of every image so far, in the order of the data; in 0..1, higher is better."""
        return [self.errors[index][0] for index in sorted(self.errors)]

    @property
    def absrel(self) -> list[float]:
        """Of every image so far, in the order of the data; lower is better."""
        return [self.errors[index][1] for index in sorted(self.errors)]

    def seen(self) -> tuple[Any, ...]:
        """The errors of each image, and how far away the pixels of all are."""
        return self.errors, self.spread, self.metric

    def absorb(self, seen: tuple[Any, ...]) -> None:
        """Adds other images."""
        errors, spread, metric = seen
        self.errors |= errors
        self.spread += spread
        self.metric &= metric

    def compute(self) -> float:
        """Mean delta 1 over the images that have a measured pixel.

        Raises:
            DataError: If none has.
        """
        if not self.errors:
            raise DataError("no image has a pixel of known depth")
        return sum(self.delta1) / len(self.errors)

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean delta 1 of the images drawn."""
        shares, known = np.zeros((2, len(self.data.paths)))
        for index, (delta1, _) in self.errors.items():
            shares[index], known[index] = delta1, 1
        return weighted_means(counts, shares, known)

    def chance(self) -> Chance | None:
        """One distance for all pixels, the best; None of relative depth, which is aligned."""
        if not self.errors or not self.metric:
            return None
        # Right by the score is what is less than a factor of RATIO nearer or farther.
        shares = np.convolve(self.spread, np.ones(2 * STEPS), "valid")
        return Chance(float(shares.max()) / len(self.errors))


def compare(predicted: DepthMap, true: Tensor) -> tuple[float, float] | None:
    """Delta 1 and AbsRel of one image; None if no pixel can be compared.

    Args:
        predicted: The map, of the same size. Pixels that are NaN are left out: the canvas does not
            show them.
        true: Meters `[H, W]`, zero where unknown.
    """
    depth = predicted.depth.double().to(true.device)
    known = (true > 0) & ~depth.isnan()
    if not known.any():
        return None
    depth, true = depth[known], true[known]
    if predicted.kind == "relative":
        depth = 1 / align(depth, 1 / true).clamp(min=FARTHEST)
    # A metric model may predict zero, whose ratio is infinite and counts as wrong.
    ratio = torch.maximum(depth / true, true / depth)
    absrel = (depth - true).abs() / true
    return float((ratio < RATIO).double().mean()), float(absrel.mean())


def align(values: Tensor, wanted: Tensor) -> Tensor:
    """`scale * values + shift`, with the scale and shift that come closest to `wanted [N]`."""
    centered = values - values.mean()
    spread = centered.square().sum()
    # A constant map has no scale: its best fit is the mean.
    scale = (centered * wanted).sum() / spread if spread > 0 else 0.0
    return scale * centered + wanted.mean()
