"""What is kept of the base: how well classes can be told from the features x and V."""

from __future__ import annotations

import torch

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.evaluation.batches import Tick
from kivfm_core.evaluation.features.knn import knn_accuracy
from kivfm_core.evaluation.features.linear_probe import probe_accuracy
from kivfm_core.evaluation.features.vectors import read_vectors
from kivfm_core.tasks.table import KNN, PROBE_METRIC
from kivfm_core.teacher import Encoder


def measure_features(
    model: Encoder, data: ClassData, levels: tuple[str, str], tick: Tick | None = None
) -> tuple[dict[str, float], int]:
    """k-NN on x, and a linear probe on x beside V's mean.

    Args:
        model: The base, or the student.
        data: Pictures with classes.
        levels: What the model calls x and V.
        tick: Told how far it is.

    Returns:
        The scores by metric, and how many pictures were read.

    Raises:
        DataError: If no class has two pictures.
    """
    (x, v), targets = read_vectors(model, data, levels, tick)
    scores = {
        KNN.metric: knn_accuracy(x, targets),
        PROBE_METRIC: probe_accuracy(torch.cat((x, v), dim=1), targets),
    }
    return scores, len(targets)
