"""What a run's steps left behind."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file


def first_gradients(run: Path) -> dict[str, torch.Tensor]:
    """A share of those of the first step. (Updates make much of the rounding errors of zeros.)"""
    state = load_file(run / "checkpoints/step-000001/optimizer.safetensors")
    return {k: v for k, v in state.items() if k.endswith(("exp_avg", "momentum_buffer"))}
