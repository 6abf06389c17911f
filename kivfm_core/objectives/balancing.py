"""How teachers share the loss, picture by picture."""

from __future__ import annotations

from torch import Tensor

KEEP = 0.5


def dropping(losses: Tensor, weights: Tensor, draws: Tensor) -> Tensor:
    """Teacher dropping (UNIC, arXiv 2408.05088).

    In every picture the teacher of the largest loss stays, and each other one half of the time;
    those that stay share the loss by their weights.

    Args:
        losses: `[T, B]`.
        weights: `[T, B]`.
        draws: Uniform in [0, 1), `[T, B]`.

    Returns:
        Shares `[T, B]` that sum to one in every picture.
    """
    stay = (draws < KEEP).scatter(0, losses.argmax(0, keepdim=True), True)
    shares = weights * stay
    return shares / shares.sum(0, keepdim=True)
