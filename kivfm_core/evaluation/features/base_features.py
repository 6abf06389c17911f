"""How much the student kept of the base: how well x and V separate classes."""

from __future__ import annotations

import torch

from kivfm_core.data.batches import Tick
from kivfm_core.data.formats.classes import ClassData
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
        data: Images with classes.
        levels: What the model calls x and V.
        tick: Called with (images done, images in all).

    Returns:
        The scores by metric, and how many images were read.

    Raises:
        DataError: If no class has two images.
    """
    (x, v), targets = read_vectors(model, data, levels, tick)
    scores = {
        KNN.metric: knn_accuracy(x, targets),
        PROBE_METRIC: probe_accuracy(torch.cat((x, v), dim=1), targets),
    }
    return scores, len(targets)
