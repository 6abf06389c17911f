"""COCO's twelve figures, slow and plain: the reference that average precision is tested against.

After pycocotools' `cocoeval.py` (T.-Y. Lin and P. Dollar, https://github.com/cocodataset/cocoapi),
written anew from its rules with loops instead of arrays:

- Of an image and a category, the 100 best detections count; equal scores keep their order.
- An object is out of play if it is a crowd or its area is outside of the range.
- At each of ten IoU thresholds, detections choose by falling score. One takes the free object that
  it overlaps most, the later of equals, and turns to objects out of play only if none in play
  reaches the threshold. A crowd can be taken any number of times, and its IoU is the share of the
  detection inside it.
- A detection that took an object out of play is out of play, and so is one that took none and whose
  own area is outside of the range.
- Precision is made to fall with recall, and read at 101 recalls. Categories without an object in
  play do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["bbox", "segm"]
Corners = tuple[float, float, float, float]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
RANGES = {"all": (0, 1e10), "small": (0, 1024), "medium": (1024, 9216), "large": (9216, 1e10)}


@dataclass(frozen=True, eq=False)
class Thing:
    """An object, or a detection of one.

    Attributes:
        image: Its image's number.
        label: Its class.
        box: `(x0, y0, width, height)`.
        mask: `[H, W]`; None if only boxes are compared.
        crowd: Whether it stands for many.
        area: As the file says; None if it does not.
        score: Of a detection.
    """

    image: int
    label: int
    box: Corners
    mask: NDArray[np.bool_] | None = None
    crowd: bool = False
    area: float | None = None
    score: float = 0.0


Hit = tuple[float, bool | None]


def figures(
    images: Sequence[int],
    labels: Sequence[int],
    objects: Sequence[Thing],
    found: Sequence[Thing],
    kind: Kind,
) -> list[float]:
    """AP, AP50, AP75, AP small, medium, large; AR of 1, 10, 100, AR small, medium, large.

    A figure that nothing counts for is -1. Of equal scores in two images, the earlier image's is
    first; pycocotools sorts images by their ids.
    """
    _iou.cache_clear()

    @cache
    def curve(label: int, size: str, threshold: float, most: int) -> tuple[float, float] | None:
        """Mean precision over the recalls, and the recall reached; None without objects in play."""
        in_play, hits = 0, list[Hit]()
        for image in images:
            own = [thing for thing in objects if (thing.image, thing.label) == (image, label)]
            theirs = [thing for thing in found if (thing.image, thing.label) == (image, label)]
            theirs = sorted(theirs, key=lambda thing: -thing.score)[:100]
            out = [thing.crowd or _outside(thing, kind, size) for thing in own]
            lost = [_outside(thing, kind, size) for thing in theirs]
            in_play += out.count(False)
            hits += _match(own, out, theirs, lost, kind, threshold)[:most]
        return _summary(hits, in_play) if in_play else None

    def mean(
        which: int, size: str = "all", thresholds: Sequence[float] = THRESHOLDS, most: int = 100
    ):
        curves = [curve(label, size, t, most) for label in labels for t in thresholds]
        known = [pair[which] for pair in curves if pair is not None]
        return float(np.mean(known)) if known else -1.0

    sizes = ("small", "medium", "large")
    return [
        *(mean(0), mean(0, thresholds=THRESHOLDS[:1]), mean(0, thresholds=THRESHOLDS[5:6])),
        *(mean(0, size) for size in sizes),
        *(mean(1, most=most) for most in (1, 10, 100)),
        *(mean(1, size) for size in sizes),
    ]


def _summary(hits: list[Hit], in_play: int) -> tuple[float, float]:
    counted = [right for _, right in sorted(hits, key=lambda hit: -hit[0]) if right is not None]
    right = np.cumsum(counted, dtype=float)
    recall, precision = right / in_play, right / np.arange(1, len(counted) + 1)
    best = [max(precision[recall >= r], default=0.0) for r in RECALLS]
    return float(np.mean(best)), float(recall[-1]) if counted else 0.0


def _match(
    own: list[Thing],
    out: list[bool],
    theirs: list[Thing],
    lost: list[bool],
    kind: Kind,
    threshold: float,
) -> list[Hit]:
    """Of each detection its score and whether it is right; None if it is out of play."""
    taken: set[int] = set()
    hits: list[Hit] = []
    for thing, unplaced in zip(theirs, lost, strict=True):
        choice = None
        for wanted in (False, True):  # objects in play first
            best = min(threshold, 1 - 1e-10)
            for i, other in enumerate(own):
                if out[i] is not wanted or (i in taken and not other.crowd):
                    continue
                overlap = _iou(thing, other, kind)
                if overlap >= best:
                    best, choice = overlap, i
            if choice is not None:
                break
        if choice is None:
            hits.append((thing.score, None if unplaced else False))
        else:
            taken.add(choice)
            hits.append((thing.score, None if out[choice] else True))
    return hits


@lru_cache(maxsize=10_000)
def _area(thing: Thing, kind: Kind) -> float:
    if thing.area is not None:
        return thing.area
    if kind == "segm":
        assert thing.mask is not None
        return int(thing.mask.sum())
    return thing.box[2] * thing.box[3]


def _outside(thing: Thing, kind: Kind, size: str) -> bool:
    low, high = RANGES[size]
    return not low <= _area(thing, kind) <= high


@cache
def _iou(thing: Thing, other: Thing, kind: Kind) -> float:
    """Of a detection with an object; of a crowd, the share of the detection."""
    if kind == "segm":
        assert thing.mask is not None and other.mask is not None
        both, one, two = (m.sum() for m in (thing.mask & other.mask, thing.mask, other.mask))
    else:
        (x, y, w, h), (u, v, s, t) = thing.box, other.box
        across, down = min(x + w, u + s) - max(x, u), min(y + h, v + t) - max(y, v)
        both = across * down if across > 0 and down > 0 else 0.0
        one, two = w * h, s * t
    return float(both / (one if other.crowd else one + two - both)) if both > 0 else 0.0
