"""Recipes: the one place where objectives are wired by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kivfm_core.objectives.losses import latent_distance

Loss = Callable[[Tensor, Tensor], Tensor]

RECIPES: dict[str, Loss] = {
    # KPU (arXiv 2508.14707): student and teachers are compared in the shared latent. The paper's
    # loss is not public; squared error plus cosine on standardized coordinates is our choice.
    "kpu": latent_distance,
}
