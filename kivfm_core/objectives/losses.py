"""Losses between latent coordinates."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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
