"""The optimizer, and its learning rate over the steps."""

from __future__ import annotations

from math import cos, pi

import torch
from lightning_fabric.wrappers import _FabricOptimizer  # pyright: ignore
from torch import nn

from kivfm_core.aligners.latent import LatentAligner
from kivfm_core.config import OptimConfig, RunConfig
from kivfm_core.distillation.training.muon import Muon

# The last learning rate, as a share of the highest.
FLOOR = 0.01
BETAS = (0.9, 0.98)


def make_optimizer(student: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Muon or AdamW over what is trainable; biases and norms without weight decay.

    Muon (arXiv 2502.16982) trains matrices and convolutions, with updates as large as AdamW's, so
    that both share one learning rate. AdamW trains the rest, depthwise convolutions too. The rate
    of a group is the schedule's times its `lr_scale`, a name that timm uses as well.
    """
    optim = config.optim
    pooled = {
        parameter
        for module in student.modules()
        if isinstance(module, LatentAligner) and module.is_global
        for parameter in module.parameters()
    }
    scales = {
        parameter: min(1.0, optim.global_level_lr / optim.lr) if parameter in pooled else 1.0
        for parameter in student.parameters()
    }
    trained = [(name, p) for name, p in student.named_parameters() if p.requires_grad]
    groups = [
        {
            "params": [(n, p) for n, p in trained if scales[p] == scale and (p.ndim > 1) == matrix],
            "weight_decay": optim.weight_decay if matrix else 0.0,
            "lr": optim.lr * scale,
            "lr_scale": scale,
        }
        for scale in dict.fromkeys(scales[p] for _, p in trained)
        for matrix in (True, False)
    ]
    if optim.optimizer == "muon":
        return Muon(groups, optim.lr, BETAS)
    # A fused AdamW unscales gradients itself, too late for them to be clipped.
    fused = config.engine.precision != "16-mixed"
    return torch.optim.AdamW(groups, lr=optim.lr, betas=BETAS, fused=fused)


def set_learning_rate(optimizer: torch.optim.Optimizer | _FabricOptimizer, lr: float) -> None:
    """Sets the learning rate of every group, as `make_optimizer` made them."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def learning_rate(step: int, config: OptimConfig) -> float:
    """Linear warm-up, then cosine decay to a hundredth of the peak."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * done)))


def readout_share(step: int, steps: int, start: float) -> float:
    """Factor of the decoders' weight: it changes linearly over a run, and is one on average.

    It starts low, since decoders can judge only levels that are roughly right, and ends high,
    since in the end the decoders' results are what counts.

    Args:
        step: Number of the step.
        steps: Of the run.
        start: Factor at the first step.
    """
    return start + 2 * (1 - start) * step / max(1, steps - 1)
