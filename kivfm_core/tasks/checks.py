"""What the conformance kit looks for in a task's predictions, beyond their type and number."""

from __future__ import annotations

from typing import get_args

from torch import Tensor

from kivfm_core.predictions import ClassLogits, DepthKind, DepthMaps, Detections, SemanticLogits


def check_logits(predictions: ClassLogits | SemanticLogits, classes: int | None) -> str:
    """Logits `[B, K, ...]` have a channel for each class."""
    found = predictions.logits.shape[1]
    if classes in (None, found):
        return ""
    return f"it predicts {found} classes, another number than the {classes} of its label space"


def check_objects(predictions: Detections, classes: int | None) -> str:
    """Every object has a box, a score in 0..1, and the index of a class as its label."""
    items = zip(predictions.boxes, predictions.scores, predictions.labels, strict=True)
    return next(filter(None, (_wrong(*item, classes) for item in items)), "")


def _wrong(boxes: Tensor, scores: Tensor, labels: Tensor, classes: int | None) -> str:
    """What is wrong with the objects of one image; empty if nothing is."""
    shapes = [tuple(x.shape) for x in (boxes, scores, labels)]
    if shapes != [(len(scores), 4), (len(scores),), (len(scores),)]:
        return f"its boxes, scores and labels are {shapes}: give [N, 4], [N] and [N] an image"
    if labels.is_floating_point() or labels.dtype.itemsize < 2:
        return f"its labels are {labels.dtype}: give whole numbers, as labels.long() does"
    if not len(scores):
        return ""
    low, high = float(scores.min()), float(scores.max())
    if low < 0 or high > 1:
        return (
            f"its scores reach from {low:.3g} to {high:.3g}, outside of 0..1: "
            "give probabilities, such as logits.sigmoid()"
        )
    first, last = int(labels.min()), int(labels.max())
    if first < 0:
        return f"it gives the label {first}: labels are indices of the names, the first is 0"
    if classes is not None and last >= classes:
        return (
            f"it gives the label {last}, more than the {classes} of its label space have "
            f"(0 to {classes - 1}): names are missing, or labels count from 1"
        )
    return ""


def check_depth(predictions: DepthMaps, classes: int | None) -> str:
    """Depth is one finite number at every place, in meters none below zero."""
    if predictions.kind not in get_args(DepthKind):
        return f"its kind is {predictions.kind!r}, not one of {', '.join(get_args(DepthKind))}"
    if predictions.depth.ndim != 3:
        return f"its depth is {tuple(predictions.depth.shape)}, not [B, h, w]"
    if not predictions.depth.isfinite().all():
        return "its depth is not finite"
    if predictions.kind == "metric" and (predictions.depth < 0).any():
        return "its depth in meters is negative"
    return ""
