"""Fidelity: how close a stand-in's levels are to those of a teacher that solves no task."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.data.batches import Tick, batches
from kivfm_core.errors import KivfmError
from kivfm_core.evaluation.bootstrap import Draws, draw_means
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

    Raises:
        KivfmError: If levels are no finite numbers, or are not those that are declared.
    """
    data = data.take(IMAGES)
    names = [level.name for level in models[0].spec.levels]
    vectors: list[dict[str, list[Tensor]]] = [{name: [] for name in names} for _ in models]
    cells: dict[str, list[int]] = {name: [] for name in names}  # of each image
    images = 0
    for batch in batches(data.paths, models[0].spec.input, tick):
        count = len(batch.indices)
        images += count
        for model, own in zip(models, vectors, strict=True):
            levels = model.encode(batch.images, batch.frames)
            # A stored spec that was changed: of an installed teacher the kit finds this.
            if lacking := [name for name in names if name not in levels]:
                raise KivfmError(
                    f"{model.spec.name} gives no level {lacking[0]}, which its spec declares"
                )
            for name in names:
                own[name].append(_rows(levels[name].float()))
                if own[name][-1].shape != vectors[0][name][-1].shape:
                    raise KivfmError(
                        f"the student gives level {name} of {model.spec.name} on another grid than"
                        " the teacher: the student was stored with another spec"
                    )
        for name in names:
            cells[name] += [len(vectors[0][name][-1]) // count] * count
    cosines = [[_cosines(vectors[0][name], own[name]) for name in names] for own in vectors]
    values = [sum(float(level.mean()) for level in own) / len(names) for own in cosines]
    for model, value in zip(models, values, strict=True):
        if not isfinite(value):
            raise KivfmError(
                f"the outputs of {model.spec.name}, or of its student, are no finite numbers",
                "kivfm teachers check NAME looks at the teacher",
            )
    drawn = [_draws(own, [cells[name] for name in names]) for own in cosines]
    return Score(values, images, len(data.paths) - images, draws=drawn)


def _rows(level: Tensor) -> Tensor:
    """A level `[B, C]` or `[B, C, h, w]` as vectors `[N, C]`."""
    return level if level.ndim == 2 else level.movedim(1, -1).flatten(0, 2)


def _draws(levels: Sequence[Tensor], cells: Sequence[Sequence[int]]) -> Draws:
    """The draws of a mean over levels, of cosines of the cells of all images.

    What levels are standardized by stays that of all images.

    Args:
        levels: Of each level a cosine for each cell.
        cells: Of each level how many cells each image has.
    """
    sums = [
        np.add.reduceat(own.double().cpu().numpy(), np.cumsum([0, *numbers[:-1]]))
        for own, numbers in zip(levels, cells, strict=True)
    ]
    return draw_means(np.stack(sums, axis=1), np.array(cells, float).T).mean(axis=1)


def _cosines(teacher: list[Tensor], other: list[Tensor]) -> Tensor:
    true, found = torch.cat(teacher), torch.cat(other)
    std, mean = torch.std_mean(true, dim=0, correction=0)
    std = std.clamp(min=1e-6)
    return F.cosine_similarity((true - mean) / std, (found - mean) / std)
