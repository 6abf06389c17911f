"""Fidelity: how close a stand-in's levels are to those of a teacher that solves no task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.data.batches import Tick, batches
from kivfm_core.evaluation.measure import Score
from kivfm_core.task import LabeledImages
from kivfm_core.teacher import Teacher

# Enough for a mean over thousands of cells.
IMAGES = 64


def measure_fidelity(
    models: Sequence[Teacher], data: LabeledImages, tick: Tick | None = None
) -> Score:
    """Mean cosine to the first model's levels, each channel standardized over the images.

    Args:
        models: A teacher, and its stand-ins.
        data: Any images; at most `IMAGES` are taken, evenly spread.
        tick: Called with (images done, images in all).
    """
    data = data.take(IMAGES)
    names = [level.name for level in models[0].spec.levels]
    vectors: list[dict[str, list[Tensor]]] = [{name: [] for name in names} for _ in models]
    images = 0
    for batch in batches(data.paths, models[0].spec.input, tick):
        images += len(batch.indices)
        for model, own in zip(models, vectors, strict=True):
            levels = model.encode(batch.images, batch.frames)
            for name in names:
                own[name].append(_rows(levels[name].float()))
    values = [
        sum(_cosine(vectors[0][name], own[name]) for name in names) / len(names) for own in vectors
    ]
    return Score(values, images, len(data.paths) - images)


def _rows(level: Tensor) -> Tensor:
    """A level `[B, C]` or `[B, C, h, w]` as vectors `[N, C]`."""
    return level if level.ndim == 2 else level.movedim(1, -1).flatten(0, 2)


def _cosine(teacher: list[Tensor], other: list[Tensor]) -> float:
    true, found = torch.cat(teacher), torch.cat(other)
    std, mean = torch.std_mean(true, dim=0, correction=0)
    std = std.clamp(min=1e-6)
    return float(F.cosine_similarity((true - mean) / std, (found - mean) / std).mean())
