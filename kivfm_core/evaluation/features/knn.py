"""k-NN: top-1 accuracy of a vote among the nearest images, on a global feature."""

from __future__ import annotations

from typing import Literal, NamedTuple

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
# Similarities that are in memory at once, at most.
SIMILARITIES = 2**27


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
    near = nearest(features, features, k, leave_one_out=True)
    return vote(near, targets, TEMPERATURE) == targets


class Neighbors(NamedTuple):
    """The nearest images of each of Q images.

    Attributes:
        similarity: `[Q, k]`, the nearest first.
        images: Which these are, `[Q, k]`.
    """

    similarity: Tensor
    images: Tensor

    def first(self, k: int) -> Neighbors:
        """The nearest k."""
        return Neighbors(self.similarity[:, :k], self.images[:, :k])


def nearest(
    queries: Tensor,
    bank: Tensor,
    k: int,
    *,
    by: Literal["cosine", "l2"] = "cosine",
    leave_one_out: bool = False,
) -> Neighbors:
    """Finds the k nearest images of each image.

    Args:
        queries: `[Q, D]`.
        bank: The features to search in, `[N, D]`, on the same device.
        k: How many, at most N.
        by: Cosine similarity, or Euclidean distance, of which the similarity is half of the
            negative square, up to a constant for each query.
        leave_one_out: Whether the queries are the bank: no image is a neighbor of its own.
    """
    if by == "cosine":
        queries, bank = F.normalize(queries, dim=1), F.normalize(bank, dim=1)
        offset = None
    else:
        # Far from the origin, the differences would be lost in rounding.
        center = bank.mean(dim=0)
        queries, bank = queries - center, bank - center
        offset = bank.square().sum(dim=1) / 2
    found: list[tuple[Tensor, Tensor]] = []
    rows = max(1, min(1024, SIMILARITIES // len(bank)))
    for start in range(0, len(queries), rows):
        near = queries[start : start + rows] @ bank.T  # [n, N]
        if offset is not None:
            near -= offset
        if leave_one_out:
            own = torch.arange(len(near), device=near.device)
            near[own, own + start] = -torch.inf
        found.append(near.topk(k, dim=1))
    similarity, images = map(torch.cat, zip(*found, strict=True))
    return Neighbors(similarity, images)


def vote(neighbors: Neighbors, targets: Tensor, temperature: float | None) -> Tensor:
    """The class that most neighbors vote for: `[Q]`. Equal votes go to the first class.

    Args:
        neighbors: Of each image.
        targets: Class indices of the images among which these are, `[N]`.
        temperature: Votes weigh `exp(similarity / temperature)`; None: all the same.
    """
    similarity, images = neighbors
    weights = torch.ones_like(similarity)
    if temperature is not None:
        weights = (similarity / temperature).exp()
    votes = weights.new_zeros(len(images), int(targets.max()) + 1)
    return votes.scatter_add_(1, targets[images], weights).argmax(dim=1)
