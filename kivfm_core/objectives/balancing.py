"""How teachers share the loss, image by image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# Probability that a teacher other than the one of the largest loss stays.
KEEP = 0.5


def draw(seed: int, step: int, shape: tuple[int, int], rank: int = 0, world: int = 1) -> Tensor:
    """A step's random numbers: the same for a view, whichever process learns from it.

    Args:
        seed: The run's.
        step: Its number.
        shape: Teachers, and views of this process.
        rank: This process.
        world: Number of processes.

    Returns:
        Uniform in [0, 1), `[T, B]`.
    """
    teachers, views = shape
    draws = np.random.default_rng([seed, 3, step]).random((teachers, views * world), np.float32)
    # As the sampler deals a step's views to processes.
    return torch.from_numpy(draws[:, rank::world].copy())


def fixed(losses: Tensor, weights: Tensor, draws: Tensor) -> Tensor:
    """Every teacher's share is its weight; arguments as for `dropping`."""
    return weights


def dropping(losses: Tensor, weights: Tensor, draws: Tensor) -> Tensor:
    """Teacher dropping (UNIC, arXiv 2408.05088).

    In every image the teacher of the largest loss stays (among those whose weight is not 0), and
    each other one half of the time; those that stay share the loss by their weights.

    Args:
        losses: `[T, B]`.
        weights: `[T, B]`.
        draws: Uniform in [0, 1), `[T, B]`.

    Returns:
        Shares `[T, B]` that sum to one in every image.
    """
    furthest = losses.masked_fill(weights == 0, -torch.inf).argmax(0, keepdim=True)
    stay = (draws < KEEP).scatter(0, furthest, True)
    shares = weights * stay
    return shares / shares.sum(0, keepdim=True)


# Shares `[T, B]` of the loss, from losses, weights and random numbers `[T, B]`.
BALANCES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "fixed": fixed,
    "dropping": dropping,
}
