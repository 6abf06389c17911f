"""Distances between latent coordinates, and between decoders' outputs for them.

Coordinates are `[B, K]` of global levels and `[B, K, h, w]` of dense ones; a distance is `[B]`, one
an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.readout import Readout

EPS = 1e-6
# Length, in teacher's vectors, that a student's vector has at least in a cosine.
SHORT = 0.01


def _similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """Cosines over dimension 1.

    A student's vector shorter than a hundredth of the teacher's counts as that long. At zero, where
    it may start, the slope of a true cosine is unbounded, and half precision overflows.
    """
    student, teacher = student.float(), teacher.float()
    length = teacher.norm(dim=1).clamp(min=EPS)
    return (student * teacher).sum(1) / (student.norm(dim=1).maximum(SHORT * length) * length)


def mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error."""
    return (student - teacher).square().flatten(1).mean(1)


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine over the coordinates of a cell, the mean over cells."""
    return 1 - _similarity(student, teacher).reshape(len(student), -1).mean(1)


def mse_cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Half the squared error, plus one minus one cosine over an image's whole level.

    One cosine over all cells weights each by the length of its vector, so that background, whose
    vectors are short, hardly counts. In the shared latent every teacher's coordinates have unit
    variance, so a student that only knows the mean starts near 1.5 for every level.
    """
    return 0.5 * mse(student, teacher) + cosine(student.flatten(1), teacher.flatten(1))


def angle(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared angle between vectors, in radians squared (C-RADIOv4)."""
    # The slope of the arc cosine is unbounded at one.
    angles = _similarity(student, teacher).clamp(EPS - 1, 1 - EPS).acos()
    return angles.square().reshape(len(student), -1).mean(1)


def smooth(student: Tensor, teacher: Tensor) -> Tensor:
    """Smooth absolute error."""
    return F.smooth_l1_loss(student, teacher, reduction="none").flatten(1).mean(1)


def cosine_smooth(student: Tensor, teacher: Tensor) -> Tensor:
    """0.9 cosine and 0.1 smooth absolute error (AM-RADIO, SAK, EUPE)."""
    return 0.9 * cosine(student, teacher) + 0.1 * smooth(student, teacher)


def even_smooth(student: Tensor, teacher: Tensor) -> Tensor:
    """Cosine and smooth absolute error in equal parts (UNIC, DUNE)."""
    return 0.5 * cosine(student, teacher) + 0.5 * smooth(student, teacher)


def flat_smooth(student: Tensor, teacher: Tensor) -> Tensor:
    """As `cosine_smooth`, one cosine over the whole flattened map (Theia)."""
    return cosine_smooth(student.flatten(1), teacher.flatten(1))


# Between a student's and a teacher's coordinates, `[B, K]` or `[B, K, h, w]`; `[B]`.
DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "mse-cosine": mse_cosine,
    "cosine": cosine,
    "angle": angle,
    "cosine-smooth": cosine_smooth,
    "even-smooth": even_smooth,
    "flat-smooth": flat_smooth,
}


def readout_distance(student: Sequence[Readout], teacher: Sequence[Readout]) -> Tensor:
    """How differently a decoder decides on two sets of levels; zero where its outputs are equal.

    Kullback-Leibler divergences of logits, smooth absolute differences of numbers, with the
    weights of the teacher's readouts.

    Args:
        student: The decoder's readouts of the student's levels.
        teacher: Those of the teacher's levels, in the same order.

    Returns:
        `[B]`, the sums over readouts and their places.
    """
    total = torch.zeros(len(student[0].values)).to(student[0].values)
    for ours, theirs in zip(student, teacher, strict=True):
        distance = _KINDS[theirs.kind](ours.values, theirs.values).sum(-1)
        if theirs.weight is not None:
            distance = distance * theirs.weight
        total = total + distance.reshape(len(distance), -1).sum(1)
    return total


def _choice(student: Tensor, teacher: Tensor) -> Tensor:
    """Terms of the divergence between two choices of one class out of many."""
    wanted = teacher.log_softmax(-1)
    return wanted.exp() * (wanted - student.log_softmax(-1))


def _binary(student: Tensor, teacher: Tensor) -> Tensor:
    """Divergence between two yes-or-no decisions: cross entropy less the teacher's own entropy."""
    p = teacher.sigmoid()
    cross, own = (
        F.binary_cross_entropy_with_logits(logits, p, reduction="none")
        for logits in (student, teacher)
    )
    return cross - own


def _number(student: Tensor, teacher: Tensor) -> Tensor:
    return F.smooth_l1_loss(student, teacher, reduction="none", beta=0.1)


_KINDS = {"choice": _choice, "binary": _binary, "number": _number}
