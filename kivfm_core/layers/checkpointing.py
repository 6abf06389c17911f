"""Activation checkpointing: activations are computed again for the gradient, not stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(work: Callable[..., Tensor], *args: Any) -> Tensor:
    """Returns `work(*args)`, and computes it again for the gradient.

    Args:
        work: Must not draw random numbers: their state is not saved, which would take time.
        args: Its arguments.
    """
    return checkpoint(work, *args, use_reentrant=False, preserve_rng_state=False)
