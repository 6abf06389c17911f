"""How well a model's own features separate classes: a base's beside the student's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kivfm_core.data.batches import Tick
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.evaluation.bootstrap import Interval, draw_means, interval
from kivfm_core.evaluation.features.knn import knn_right
from kivfm_core.evaluation.features.linear_probe import probe_right
from kivfm_core.evaluation.features.vectors import read_vectors
from kivfm_core.evaluation.result import BaseRow
from kivfm_core.evaluation.worklist import Item
from kivfm_core.models.model import Features, Model
from kivfm_core.progress import Progress, stage
from kivfm_core.tasks.table import KNN, PROBE_METRIC


def own_rows(model: Model, items: Sequence[Item], progress: Progress) -> list[BaseRow]:
    """A model's own features, a student's beside its base's.

    Args:
        model: The model.
        items: Images with classes.
        progress: Where to report.

    Raises:
        DataError: If no class has two images.
    """
    whose = model.own_features() if items else {}
    rows: list[BaseRow] = []
    for item in items if whose else ():
        data, images = item.data, 0
        assert isinstance(data, ClassData)  # the worklist takes no other
        scores: dict[str, dict[str, tuple[float, Interval | None]]] = {}
        for who, features in whose.items():
            tick = stage(progress, f"{who}: {KNN.name}")
            scores[who], images = measure_features(features, data, tick)
        rows += [
            BaseRow(
                metric=metric,
                data=str(item.source),
                limit=item.limit,
                pictures=images,
                bad=len(data.paths) - images,
                chance_score=1 / len(set(data.targets)),
                **_named("base", scores, metric),
                **_named("student", scores, metric),
            )
            for metric in (KNN.metric, PROBE_METRIC)
        ]
    return rows


def _named(
    who: str, scores: Mapping[str, Mapping[str, tuple[float, Interval | None]]], metric: str
) -> dict[str, Any]:
    """A score and its interval as a row calls them; nothing if there are none."""
    if who not in scores:
        return {}
    score, ends = scores[who][metric]
    return {f"{who}_score": score, f"{who}_interval": ends}


def measure_features(
    features: Features, data: ClassData, tick: Tick | None = None
) -> tuple[dict[str, tuple[float, Interval | None]], int]:
    """k-NN on a vector, and a linear probe on it beside the dense map's mean.

    Args:
        features: Whose.
        data: Images with classes.
        tick: Called with (images done, images in all).

    Returns:
        The scores by metric with their intervals, and how many images were read. An interval is
        that of more images like these, at the neighbors and the probe that these have.

    Raises:
        DataError: If no class has two images.
    """
    vectors, targets = read_vectors(features.encoder, data, features.levels, tick)
    scores = {
        KNN.metric: _accuracy(knn_right(vectors[0], targets)),
        PROBE_METRIC: _accuracy(probe_right(torch.cat(vectors, dim=1), targets)),
    }
    return scores, len(targets)


def _accuracy(right: Tensor) -> tuple[float, Interval | None]:
    hits = right.double()
    score = float(hits.mean())
    return score, interval(draw_means(hits.numpy()), score)
