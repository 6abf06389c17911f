"""Activation checkpointing: what a gradient needs is computed again, not kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(work: Callable[..., Tensor], *args: Any) -> Tensor:
    """What `work` gives; it is done once more for the gradient. It may not draw random numbers."""
    return checkpoint(work, *args, use_reentrant=False, preserve_rng_state=False)
