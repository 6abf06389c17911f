"""k-NN: top-1 accuracy of a vote among the nearest images, on a global feature."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.data.batches import Tick
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.errors import DataError
from kivfm_core.evaluation.features.vectors import read_vectors
from kivfm_core.teacher import Teacher

# Those of DINO (arXiv 2104.14294).
NEIGHBORS, TEMPERATURE = 20, 0.07


def measure_knn(model: Teacher, data: ClassData, tick: Tick | None = None) -> tuple[float, int]:
    """k-NN accuracy of a model's first global level, or of its first level's mean if it has none.

    Args:
        model: The model, at its own canvas.
        data: Images with classes.
        tick: Called with (images done, images in all).

    Returns:
        Accuracy, and how many images were read.

    Raises:
        DataError: If no class has two images.
    """
    globals_ = [level.name for level in model.spec.levels if level.kind == "global"]
    name = globals_[0] if globals_ else model.spec.levels[0].name
    (features,), targets = read_vectors(model, data, (name,), tick)
    return knn_accuracy(features, targets), len(targets)


def knn_accuracy(features: Tensor, targets: Tensor) -> float:
    """The share of images that are right, see `knn_right`."""
    return float(knn_right(features, targets).double().mean())


def knn_right(features: Tensor, targets: Tensor) -> Tensor:
    """Whether each image is right by leave-one-out k-NN: `[N]`.

    By cosine similarity, with votes weighted as DINO does. k is 20, or as many others as the mean
    class has. Equal votes go to the first class; of images equally near at the k-th place, any may
    vote.

    Args:
        features: `[N, D]`.
        targets: Class indices `[N]`.

    Raises:
        DataError: If no class has two images.
    """
    counts = targets.bincount()
    if counts.max() < 2:
        raise DataError(
            "k-NN needs classes with several images each", "give it a folder of class folders"
        )
    k = max(1, min(NEIGHBORS, round(len(targets) / int((counts > 0).sum())) - 1))
    features = F.normalize(features, dim=1)
    right: list[Tensor] = []
    for start in range(0, len(features), 1024):
        near = features[start : start + 1024] @ features.T  # [n, N]
        rows = torch.arange(len(near))
        near[rows, rows + start] = -torch.inf
        similarity, index = near.topk(k, dim=1)
        votes = torch.zeros(len(near), len(counts))
        votes.scatter_add_(1, targets[index], (similarity / TEMPERATURE).exp())
        right.append(votes.argmax(dim=1) == targets[start : start + 1024])
    return torch.cat(right)
