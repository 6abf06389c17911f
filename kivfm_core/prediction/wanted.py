"""What of a prediction is kept: by score, by class, and one of several boxes around one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from kivfm_core.data.label_spaces import match
from kivfm_core.errors import UsageError
from kivfm_core.predictions import Detections

# Objects of lower score are left out, unless a user says otherwise.
CONFIDENCE = 0.3
# So many classes of an image are listed.
TOP = 5

Names = Sequence[str] | None
_P = TypeVar("_P")


@dataclass(frozen=True)
class Wanted:
    """What of a prediction is kept.

    Attributes:
        threshold: Objects of a lower score are left out.
        classes: Only these are kept, by name; None for all.
        top: Of the classes of an image, so many are listed, the most probable first.
        suppress: Of objects whose boxes overlap by more than this share (IoU), only the best is
            kept, whatever their classes; None keeps all that the decoder gives.
    """

    threshold: float = CONFIDENCE
    classes: tuple[str, ...] | None = None
    top: int = TOP
    suppress: float | None = None

    def indices(self, names: Names) -> tuple[int, ...] | None:
        """The indices of the wanted classes among all names; None for all.

        Raises:
            UsageError: If there is no such class, naming the nearest.
        """
        if self.classes is None:
            return None
        return _indices(self.classes, tuple(names or ()))


@cache
def _indices(classes: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    found = match(classes, names)
    unknown = [name for name, index in zip(classes, found, strict=True) if index is None]
    if unknown:
        lower = {name.lower(): name for name in names}
        near = get_close_matches(unknown[0].lower(), lower, n=3, cutoff=0.5)
        some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        hint = f"did you mean {' or '.join(lower[one] for one in near)}?" if near else some
        raise UsageError(
            f"there is no class {unknown[0]!r}" if names else "its results have no classes", hint
        )
    return tuple(dict.fromkeys(index for index in found if index is not None))


def select(found: Any, wanted: Wanted, names: Names) -> Any:
    """Predictions without the objects that are not wanted; others as they are.

    This is done on the canvas: of a hundred objects' masks, only those that are kept are drawn at
    the image's own size.

    Args:
        found: What a decoder gave for a batch.
        wanted: What is kept.
        names: The classes' names.
    """
    if not isinstance(found, Detections):
        return found
    chosen = wanted.indices(names)
    kept = [
        _kept(boxes, scores, labels, wanted, chosen)
        for boxes, scores, labels in zip(found.boxes, found.scores, found.labels, strict=True)
    ]
    columns = {
        field.name: [part[keep] for part, keep in zip(column, kept, strict=True)]
        for field in fields(found)
        if isinstance(column := getattr(found, field.name), list)
    }
    return replace(found, **columns)


def _kept(
    boxes: Tensor, scores: Tensor, labels: Tensor, wanted: Wanted, chosen: tuple[int, ...] | None
) -> Tensor:
    """Indices of the objects that are kept, in the decoder's order."""
    keep = scores >= wanted.threshold
    if chosen is not None:
        keep &= torch.isin(labels, labels.new_tensor(chosen))
    places = keep.nonzero()[:, 0]
    if wanted.suppress is None:
        return places
    return places[distinct(boxes[places], scores[places], wanted.suppress)]


def distinct(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Indices of the boxes `[N, 4]` that no better one overlaps by more, in the given order."""
    if not len(boxes):
        return torch.zeros(0, dtype=torch.long)
    # Takes longer to import than torch, and most calls suppress nothing.
    from torchvision.ops import nms

    return nms(boxes.float(), scores.float(), overlap).sort().values


def item(predictions: _P, index: int) -> _P:
    """The prediction for one image of a batch: a dataclass of tensors, and of lists of tensors."""
    parts = {
        field.name: column[index : index + 1]
        for field in fields(predictions)  # pyright: ignore[reportArgumentType]
        if isinstance(column := getattr(predictions, field.name), Tensor | list)
    }
    return replace(predictions, **parts)  # pyright: ignore[reportArgumentType, reportCallIssue]
