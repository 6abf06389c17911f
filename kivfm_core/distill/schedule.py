"""The optimizer, and its learning rate over the steps."""

from __future__ import annotations

from math import cos, pi

import torch
from torch import nn

from kivfm_core.config import OptimConfig, RunConfig
from kivfm_core.distill.muon import Muon

FLOOR = 0.01
BETAS = (0.9, 0.98)


def make_optimizer(student: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Muon or AdamW over what is trainable; biases and norms without weight decay.

    Muon (arXiv 2502.16982) is for matrices and convolutions, with updates as large as AdamW's, so
    that one learning rate does for both; what is no matrix, depthwise convolutions too, is AdamW's.
    """
    optim = config.optim
    trainable = [p for p in student.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": optim.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if optim.optimizer == "muon":
        return Muon(groups, optim.lr, BETAS)
    # Gradients that a scaler has yet to unscale could not be clipped.
    fused = config.engine.precision != "16-mixed"
    return torch.optim.AdamW(groups, lr=optim.lr, betas=BETAS, fused=fused)


def learning_rate(step: int, config: OptimConfig) -> float:
    """Linear warm-up, then cosine decay to a hundredth of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * done)))


def readout_share(step: int, steps: int, start: float) -> float:
    """What the decoders' weight is multiplied with: it changes evenly, and is one on average.

    Levels give a decoder something to judge first; in the end its judgment is what counts.

    Args:
        step: Its number.
        steps: Of the run.
        start: The first step's.
    """
    return start + 2 * (1 - start) * step / max(1, steps - 1)
