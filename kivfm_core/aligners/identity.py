"""The aligner of the base's own levels: the student's x and V are these levels."""

from __future__ import annotations

import torch
from torch import Tensor

from kivfm_core.aligners.aligner import Aligner, Features
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.layers.resize import resize


class IdentityAligner(Aligner):
    """Standardizes x or V, so that the loss counts the base as it counts other teachers."""

    mean: Tensor
    scale: Tensor

    def __init__(self, plan: AlignerPlan) -> None:
        super().__init__(plan)
        self.register_buffer("mean", torch.zeros(plan.level.channels))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, count: int, total: Tensor, outer: Tensor) -> None:
        """Fits mean and the common scale that gives unit mean variance."""
        mean = total / count
        self.mean.copy_(mean)
        self.scale.copy_((outer.diagonal() / count - mean**2).mean().clamp(min=1e-8).sqrt())

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's own x or V, in the base's standardized units."""
        own = features["x"] if grid is None else resize(features["V"], grid)
        return self.to_latent(own)

    def to_latent(self, level: Tensor) -> Tensor:
        """Standardizes `[B, C]` or `[B, C, h, w]`."""
        shape = (1, -1) + (1,) * (level.ndim - 2)
        return (level - self.mean.view(shape)) / self.scale

    def to_level(self, latent: Tensor) -> Tensor:
        """Undoes `to_latent`."""
        shape = (1, -1) + (1,) * (latent.ndim - 2)
        return latent * self.scale + self.mean.view(shape)
