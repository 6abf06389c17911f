"""Losses between latent coordinates, and between what decoders say of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.readout import Readout


def latent_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Half squared error plus one minus cosine, averaged over everything but the coordinates.

    In the shared latent every teacher's coordinates have unit variance, so a student that only
    knows the mean starts near 1.5 for every level of every teacher.

    Args:
        student: `[B, K]` or `[B, K, h, w]`.
        teacher: Same shape.

    Returns:
        A scalar.
    """
    cosine = F.cosine_similarity(student, teacher, dim=1, eps=1e-6)
    return 0.5 * F.mse_loss(student, teacher) + (1 - cosine).mean()


def readout_distance(student: Sequence[Readout], teacher: Sequence[Readout]) -> Tensor:
    """How differently a decoder decides: zero where it says the same.

    Kullback-Leibler divergences of logits, smooth absolute differences of numbers, weighted as the
    teacher's readouts say.

    Args:
        student: What a decoder says of the student's levels.
        teacher: What it says of the teacher's, in the same order.

    Returns:
        A scalar, the sum over readouts and places, a picture on average.
    """
    total = torch.zeros(()).to(student[0].values)
    for said, meant in zip(student, teacher, strict=True):
        distance = _DISTANCES[meant.kind](said.values, meant.values).sum(-1)
        if meant.weight is not None:
            distance = distance * meant.weight
        total = total + distance.sum() / len(meant.values)
    return total


def _choice(said: Tensor, meant: Tensor) -> Tensor:
    wanted = meant.log_softmax(-1)
    return wanted.exp() * (wanted - said.log_softmax(-1))


def _binary(said: Tensor, meant: Tensor) -> Tensor:
    p = meant.sigmoid()
    cross, own = (
        F.binary_cross_entropy_with_logits(logits, p, reduction="none") for logits in (said, meant)
    )
    return cross - own


def _number(said: Tensor, meant: Tensor) -> Tensor:
    return F.smooth_l1_loss(said, meant, reduction="none", beta=0.1)


_DISTANCES = {"choice": _choice, "binary": _binary, "number": _number}
