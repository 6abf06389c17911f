"""From predictions in original pixels to labels that are saved: what tasks' records name.

Each function takes an image's item of `to_original`, and returns fields of `SavedImage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.data.saving.record import NO_CLASS, SavedObject
from kivfm_core.prediction.everything import Scan
from kivfm_core.prediction.wanted import Names, Wanted

# An entry of COCO's 91 ids that is no class.
_NO_NAME = "N/A"
# The one class of what has no classes.
OBJECT = "object"


@dataclass(frozen=True)
class SavedClasses:
    """The classes that are saved, and where each of the model's classes is among them.

    Attributes:
        names: Their names: those that are wanted, in this order, or all.
        places: For every class of the model, its index in `names`, or `NO_CLASS`.
    """

    names: tuple[str, ...]
    places: NDArray[np.int64]

    @classmethod
    def choose(cls, names: Names, wanted: Wanted) -> SavedClasses:
        """The classes that are saved of a model's.

        Raises:
            UsageError: If one that is wanted is none of the model's.
        """
        chosen = wanted.indices(names)
        if not names:
            return cls((OBJECT,), np.zeros(1, np.int64))
        kept = [i for i in range(len(names)) if names[i] != _NO_NAME] if chosen is None else chosen
        saved = tuple(dict.fromkeys(names[i].strip("_") for i in kept))
        places = np.full(len(names), NO_CLASS, np.int64)
        for i in kept:
            places[i] = saved.index(names[i].strip("_"))
        return cls(saved, places)


def save_boxes(found: dict[str, Tensor], classes: SavedClasses) -> dict[str, Any]:
    """The boxes of `{boxes, scores, labels}`."""
    return save_objects({key: value for key, value in found.items() if key != "masks"}, classes)


def save_objects(found: dict[str, Tensor], classes: SavedClasses) -> dict[str, Any]:
    """The objects of `{boxes, scores, labels, masks?}`, best first."""
    masks = found["masks"].numpy() if "masks" in found else repeat(None)
    objects = [
        SavedObject(int(classes.places[label]), _box(box), score, mask)
        for box, score, label, mask in zip(
            found["boxes"].tolist(), found["scores"].tolist(), found["labels"].tolist(), masks,
            strict=False,  # without masks, None goes on for ever
        )
        if classes.places[label] != NO_CLASS
    ]  # fmt: skip
    return {"objects": tuple(sorted(objects, key=lambda one: -(one.score or 0)))}


def save_masks(found: Tensor, classes: SavedClasses) -> dict[str, Any]:
    """The masks `[P, H, W]` that a prompt gave, each around something; empty ones are left out."""
    return {"objects": _around(found, repeat(None))}


def save_everything(found: Scan) -> dict[str, Any]:
    """All masks of an image, with their scores, best first."""
    return {"objects": _around(found.masks, found.scores.tolist())}


def _around(masks: Tensor, scores: Iterable[float | None]) -> tuple[SavedObject, ...]:
    objects: list[SavedObject] = []
    for mask, score in zip(masks.numpy(), scores, strict=False):  # None goes on for ever
        rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
        if len(rows):
            x1, x2 = int(columns[0]), int(columns[-1]) + 1
            box = float(x1), float(rows[0]), float(x2), float(rows[-1] + 1)
            objects.append(SavedObject(0, box, score, mask))
    return tuple(objects)


def save_map(found: Tensor, classes: SavedClasses) -> dict[str, Any]:
    """The class of every pixel, of logits `[K, H, W]`."""
    return {"class_map": classes.places[found.argmax(dim=0).numpy()]}


def save_class(found: Tensor, classes: SavedClasses) -> dict[str, Any]:
    """The most probable of the saved classes, of logits `[K]`."""
    probability = found.float().softmax(dim=0).numpy()
    best = int(np.where(classes.places == NO_CLASS, -1.0, probability).argmax())
    return {"label": int(classes.places[best]), "score": float(probability[best])}


def _box(sides: Sequence[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = sides
    return x1, y1, max(x1, x2), max(y1, y2)
