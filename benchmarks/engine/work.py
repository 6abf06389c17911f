"""The work that everyone does: the same networks, canvases and optimizer.

Nothing of kivfm is imported here, since peers' environments do without.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import timm
import torch
from torch import Tensor, nn

SIDE = 64
BATCH = 32
TEACHER, STUDENT = "vit_small_patch16_224.augreg_in21k_ft_in1k", "vit_tiny_patch16_224"
LR, WEIGHT_DECAY, BETAS, CLIP = 1e-4, 0.02, (0.9, 0.98), 1.0
# Batches that there are; they take turns.
KINDS = 8


def network(name: str) -> Any:
    """A timm network with random weights that gives pooled features."""
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0, dynamic_img_size=True)


def frozen(name: str) -> Any:
    """The same as a teacher."""
    return network(name).eval().requires_grad_(False)


def canvases() -> list[Tensor]:
    """Batches `[B, 3, H, W]` in [0, 1], in 256 steps a color."""
    generator = torch.Generator().manual_seed(0)
    shape = (KINDS, BATCH, 3, SIDE, SIDE)
    return list(torch.randint(256, shape, generator=generator).float() / 255)


def normalize(canvas: Tensor) -> Tensor:
    """As both networks want it."""
    return (canvas - 0.5) / 0.5


def optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.AdamW:
    """AdamW over matrices with weight decay, and vectors without."""
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LR, betas=BETAS, fused=True)


def steps() -> Iterator[Tensor]:
    """A batch a step, while blocks of steps are requested.

    Each line of the standard input is the number of steps of a block; when the last of them is done
    the milliseconds of a step, on average, go to the standard output.
    """
    every, made, out = canvases(), 0, sys.stdout
    sys.stdout = sys.stderr  # what else is said is no answer
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            yield every[made % KINDS]
            made += 1
        took = 1000 * (time.perf_counter() - began) / int(line)
        print(json.dumps(took), file=out, flush=True)
