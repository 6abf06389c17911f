"""What the conformance kit looks for in a task's predictions, beyond their type and number."""

from __future__ import annotations

from kivfm_core.predictions import ClassLogits, Detections, SemanticLogits


def check_logits(predictions: ClassLogits | SemanticLogits, classes: int | None) -> str:
    """Logits `[B, K, ...]` have a channel for each class."""
    return _other(classes) if classes not in (None, predictions.logits.shape[1]) else ""


def check_objects(predictions: Detections, classes: int | None) -> str:
    """Every object's label is the index of a class."""
    highest = max((int(labels.max()) for labels in predictions.labels if len(labels)), default=-1)
    return _other(classes) if classes is not None and highest >= classes else ""


def _other(classes: int | None) -> str:
    return f"it predicts another number of classes than the {classes} of its label space"
