"""Recipes: the one place where objectives are wired by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from kivfm_core.objectives.losses import latent_distance


@dataclass(frozen=True)
class Recipe:
    """What a student is asked for.

    Attributes:
        distance: Between its latent coordinates and a teacher's.
        readout: Weight of what the teachers' decoders say of its levels, beside that distance; the
            unit is what they get wrong of a teacher's mean level.
    """

    distance: Callable[[Tensor, Tensor], Tensor]
    readout: float


RECIPES = {
    # KPU (arXiv 2508.14707): student and teachers are compared in the shared latent. The paper's
    # loss is not public; squared error plus cosine on standardized coordinates is our choice, and
    # so is listening to the teachers' decoders.
    "kpu": Recipe(latent_distance, readout=3.0),
    # The same without decoders: what teachers that give only levels get.
    "levels": Recipe(latent_distance, readout=0.0),
}
