"""Losses between latent coordinates, and between what decoders say of them.

Coordinates are `[B, K]` of global levels and `[B, K, h, w]` of dense ones; a loss is `[B]`, one a
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.readout import Readout

EPS = 1e-6
SHORT = 0.01


def _similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """Cosines over dimension 1.

    The student's vector counts as a hundredth of the teacher's long, at least: at zero, where it
    may begin, a cosine's slope has no bound, and half precision overflows.
    """
    student, teacher = student.float(), teacher.float()
    length = teacher.norm(dim=1).clamp(min=EPS)
    return (student * teacher).sum(1) / (student.norm(dim=1).maximum(SHORT * length) * length)


def mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error."""
    return (student - teacher).square().flatten(1).mean(1)


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine over the coordinates of a place."""
    return 1 - _similarity(student, teacher).reshape(len(student), -1).mean(1)


def mse_cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Half squared error plus one minus cosine, one over a picture's whole level.

    So places count by what is there, and the background's small vectors hardly do. In the shared
    latent every teacher's coordinates have unit variance, so a student that only knows the mean
    starts near 1.5 for every level of every teacher.
    """
    return 0.5 * mse(student, teacher) + cosine(student.flatten(1), teacher.flatten(1))


def angle(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared angle between vectors, in radians squared (C-RADIOv4)."""
    # The slope of the arc cosine has no bound at one.
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


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "mse-cosine": mse_cosine,
    "cosine": cosine,
    "angle": angle,
    "cosine-smooth": cosine_smooth,
    "even-smooth": even_smooth,
    "flat-smooth": flat_smooth,
}
"""Between a student's and a teacher's coordinates, `[B, K]` or `[B, K, h, w]`; one a picture."""


def readout_distance(student: Sequence[Readout], teacher: Sequence[Readout]) -> Tensor:
    """How differently a decoder decides: zero where it says the same.

    Kullback-Leibler divergences of logits, smooth absolute differences of numbers, weighted as the
    teacher's readouts say.

    Args:
        student: What a decoder says of the student's levels.
        teacher: What it says of the teacher's, in the same order.

    Returns:
        `[B]`, the sums over readouts and places.
    """
    total = torch.zeros(len(student[0].values)).to(student[0].values)
    for said, meant in zip(student, teacher, strict=True):
        distance = _KINDS[meant.kind](said.values, meant.values).sum(-1)
        if meant.weight is not None:
            distance = distance * meant.weight
        total = total + distance.reshape(len(distance), -1).sum(1)
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


_KINDS = {"choice": _choice, "binary": _binary, "number": _number}
