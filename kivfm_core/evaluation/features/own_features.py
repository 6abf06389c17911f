"""How well a model's own features separate classes: a base's beside the student's."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kivfm_core.data.batches import Tick
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.evaluation.features.knn import knn_accuracy
from kivfm_core.evaluation.features.linear_probe import probe_accuracy
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
        scores: dict[str, dict[str, float]] = {}
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
                base_score=scores.get("base", {}).get(metric),
                student_score=scores.get("student", {}).get(metric),
            )
            for metric in (KNN.metric, PROBE_METRIC)
        ]
    return rows


def measure_features(
    features: Features, data: ClassData, tick: Tick | None = None
) -> tuple[dict[str, float], int]:
    """k-NN on a vector, and a linear probe on it beside the dense map's mean.

    Args:
        features: Whose.
        data: Images with classes.
        tick: Called with (images done, images in all).

    Returns:
        The scores by metric, and how many images were read.

    Raises:
        DataError: If no class has two images.
    """
    vectors, targets = read_vectors(features.encoder, data, features.levels, tick)
    scores = {
        KNN.metric: knn_accuracy(vectors[0], targets),
        PROBE_METRIC: probe_accuracy(torch.cat(vectors, dim=1), targets),
    }
    return scores, len(targets)
