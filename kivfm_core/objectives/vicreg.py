"""What keeps learned coordinates from collapse (VICReg: Bardes, Ponce, LeCun, arXiv 2105.04906)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# The weight of the covariance's term beside the variance's, as in the paper (1 beside 25).
COVARIANCE = 1 / 25
EPS = 1e-4


def collapse(vectors: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """How far coordinates are from unit variance at least, and from being uncorrelated.

    Zero where they are; 1 where all vectors are the same.

    Args:
        vectors: `[N, K]`, of this process.
        reduce: Sums a tensor over all processes, and lets gradients pass.

    Returns:
        A scalar, the same in all processes.
    """
    count = reduce(torch.tensor(float(len(vectors)), device=vectors.device))
    mean = reduce(vectors.sum(0) / count)
    # Divided before they are multiplied: half precision would overflow.
    scaled = (vectors - mean) / count.sqrt()
    covariance = reduce(scaled.T @ scaled)
    variance = covariance.diagonal()
    short = (1 - (variance + EPS).sqrt()).relu().mean()
    tied = (covariance - variance.diag()).square().sum() / len(variance)
    return short + COVARIANCE * tied
