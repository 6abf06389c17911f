"""The default aligner: a fixed, invertible map into the shared latent, and an MLP that predicts it.

Student and teacher meet in the shared latent, where the loss compares them::

    teacher's level --to_latent--> coordinates <--predict-- the student's features
    teacher's level <--to_level--- coordinates

The teacher's side is closed-form (`targets`). By default every channel is standardized, then
rotated to the level's principal axes, of which the first `latent` are taken and scaled to unit mean
variance. It is fitted once from streaming sums and never trained, so it cannot collapse, and its
pseudo-inverse is the way back. In these coordinates every level of every teacher has the same mean
variance, whatever its magnitude and width, so no teacher dominates the loss: the aim of KPU (arXiv
2508.14707), whose own projectors are not public. With the target `learned` that is only the start:
the axes are then trained with the student. They could make prediction easy by shrinking, so the
error of the round trip is part of the loss (`lost`), its way back scaled as the axes were fitted.

The student's side is an MLP for each level, as in the paper. Where a recipe says so, a convolution
or a transformer block (DUNE, arXiv 2503.14405) stands before its activation. For a global level it
ends in attention pooling: a few weighted means over the whole image, with learned weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kivfm_core.aligners.latent_plan import LatentPlan
from kivfm_core.aligners.projector import Projector
from kivfm_core.aligners.sums import moments
from kivfm_core.aligners.targets import TARGETS, dispersion, from_latent, into_latent


class LatentAligner(Projector):
    """Standardized principal coordinates of a level, and the student's MLP to them.

    Attributes:
        mean: Of the level's channels, `[C]`.
        std: What the channels are divided by, `[C]`.
        axes: Columns are the latent's axes, `[C, K]`.
        unit: The teacher's angular dispersion, where directions are compared.
        length: Squared length of the axes as fitted, where they are learned.
    """

    mean: Tensor
    std: Tensor
    axes: Tensor
    unit: Tensor
    length: Tensor

    def __init__(self, plan: LatentPlan) -> None:
        super().__init__(plan)

        channels = plan.level.channels
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        axes = torch.eye(channels)[:, : plan.latent].clone()
        if plan.target == "learned":
            self.axes = nn.Parameter(axes)
            self.register_buffer("length", torch.ones(()))
        else:
            self.register_buffer("axes", axes)
        if plan.target == "direction":
            self.register_buffer("unit", torch.ones(()))

    @property
    def distance_unit(self) -> Tensor | float:
        """The teacher's dispersion where directions are compared, else one."""
        return self.unit if self.plan.target == "direction" else 1.0

    def fit(self, count: int, total: Tensor, outer: Tensor) -> None:
        """Fits mean, standard deviation `[C]` and axes `[C, K]`, as the plan's target says."""
        mean, covariance = moments(count, total, outer)
        fitted = TARGETS[self.plan.target](mean, covariance, self.plan.latent)
        for buffer, value in zip((self.mean, self.std, self.axes), fitted, strict=True):
            buffer.detach().copy_(value)
        # Variance along the axes over all variance, both of standardized channels.
        _, std, axes = fitted
        standard = covariance / (std[:, None] * std)
        along = (axes * (standard @ axes)).sum() / axes[:, 0].square().sum()
        self.round_trip_share = float(along / standard.trace().clamp(min=1e-8))
        if self.plan.target == "learned":
            self.length.copy_(axes[:, 0].square().sum())
        if self.plan.target == "direction":
            self.unit.fill_(max(dispersion(mean, covariance), 1e-4))

    def to_latent(self, level: Tensor) -> Tensor:
        """`[B, C]` to `[B, K]`, or `[B, C, h, w]` to `[B, K, h, w]`."""
        return into_latent(level, self.mean, self.std, self.axes)

    def to_level(self, latent: Tensor) -> Tensor:
        """`[B, K]` to `[B, C]`, or `[B, K, h, w]` to `[B, C, h, w]`."""
        length = self.length if self.plan.target == "learned" else None
        return from_latent(latent, self.mean, self.std, self.axes, length)

    def lost(self, level: Tensor) -> Tensor | float:
        """Squared error of the round trip in standardized channels, if the axes are learned."""
        if self.plan.target != "learned":
            return 0.0
        shape = (1, -1) + (1,) * (level.ndim - 2)
        error = (self.to_level(self.to_latent(level)) - level) / self.std.view(shape)
        return error.square().flatten(1).mean(1)
