"""Which detections of an evaluation are right, and average precision of any draw of its images.

Matching detections with objects is done image by image, so a draw changes none of it. Only the
curve of precision over recall is made anew, each detection weighted by how often its image was
drawn. That is the AP of a set in which the images are repeated, except where scores are equal: the
order of these is anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Numbers in an array of draws and detections, at most: more take memory, and no less time.
NUMBERS = 2**22


@dataclass(frozen=True)
class ClassMatches:
    """The detections of one class in all images, the highest score first.

    Attributes:
        images: `[P]`, the index of each one's image in the data.
        right: `[T, P]`, whether it took an object, at each IoU threshold.
        out: `[T, P]`, whether it is out of play: neither right nor wrong.
        objects: `[N]`, how many objects in play each image has.
        recalls: The recalls at which precision is read.
    """

    images: NDArray[np.int64]
    right: NDArray[np.bool_]
    out: NDArray[np.bool_]
    objects: NDArray[np.float64]
    recalls: NDArray[np.float64]

    def precision(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean precision over recalls and thresholds of every draw `[D]`; NaN without objects.

        Args:
            counts: `[D, N]`, how often each image is in a draw.
        """
        rows = max(1, NUMBERS // max(1, len(self.images)))
        parts = [self._few(counts[start : start + rows]) for start in range(0, len(counts), rows)]
        return np.concatenate(parts)

    def _few(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        objects = counts @ self.objects
        objects[objects <= 0] = np.nan
        # What follows the last right detection changes no precision that is read.
        used = np.flatnonzero(self.right.any(axis=0))[-1:] + 1
        weights = counts[:, self.images[: int(used.sum())]]  # [D, P]
        passed = weights.cumsum(axis=1)
        total = np.zeros(len(counts))
        for right, out in zip(self.right, self.out, strict=True):
            # Precision is read where recall rises: at detections that are right.
            at = np.flatnonzero(right)
            found = weights[:, at].cumsum(axis=1)
            gone = np.flatnonzero(out[: weights.shape[1]])
            number = passed[:, at]
            if len(gone):
                before = np.pad(weights[:, gone].cumsum(axis=1), ((0, 0), (1, 0)))
                number = number - before[:, np.searchsorted(gone, at)]
            precision = found / np.maximum(number, 1)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            # How many of the recalls are reached, here and for the first time.
            recall = found / objects[:, None]
            reached = np.searchsorted(self.recalls, recall.ravel(), side="right")
            new = np.diff(reached.reshape(recall.shape), axis=1, prepend=0)
            total += (best * new).sum(axis=1)
        return np.where(np.isnan(objects), np.nan, total / len(self.recalls) / len(self.right))


def read_matches(evaluator: Any, where: Mapping[int, int], size: int) -> list[ClassMatches]:
    """What was matched, a record for each class.

    Args:
        evaluator: A `COCOeval_faster` that has run with `separate_eval`.
        where: The index in the data of each image's id.
        size: How many images the data has; it may have more than were evaluated.
    """
    params = evaluator.params
    images = [where[image] for image in params.imgIds]
    thresholds, sizes = len(params.iouThrs), len(params.areaRng)
    found: list[ClassMatches] = []
    for start in range(0, len(params.catIds) * sizes * len(images), sizes * len(images)):
        # The first range of areas is all of them. What can be pickled is what can be read.
        own = [e.__getstate__() for e in evaluator._evalImgs_cpp[start : start + len(images)]]
        scores = np.concatenate([np.asarray(state[2], float) for state in own])
        order = np.argsort(-scores, kind="stable")
        took, out = (
            np.concatenate([np.reshape(state[i], (thresholds, -1)) for state in own], axis=1)
            for i in (0, 4)
        )
        objects = np.zeros(size)
        objects[images] = [len(state[3]) - sum(state[3]) for state in own]
        found.append(
            ClassMatches(
                np.repeat(images, [len(state[2]) for state in own])[order].astype(np.int64),
                ((took > 0) & ~out.astype(bool))[:, order],
                out.astype(bool)[:, order],
                objects,
                np.asarray(params.recThrs),
            )
        )
    return found
