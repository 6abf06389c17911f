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
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.aligners.aligner import Aligner, Features
from kivfm_core.aligners.latent_plan import GLANCES, KERNEL, LatentPlan, heads_of
from kivfm_core.aligners.sums import moments
from kivfm_core.aligners.targets import TARGETS, dispersion, from_latent, into_latent
from kivfm_core.layers.checkpointing import recomputed
from kivfm_core.layers.depthwise import Depthwise
from kivfm_core.layers.resize import resize


def _transformer(width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        width, heads_of(width), 2 * width, dropout=0.0, activation="gelu", batch_first=True,
        norm_first=True,
    )  # fmt: skip


class LatentAligner(Aligner):
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
        self._make_student_side(plan)
        self._make_teacher_side(plan)
        self.forget()
        self.recompute = False

    def _make_student_side(self, plan: LatentPlan) -> None:
        # Each map is normalized and read on its own; the sum of all reads is the hidden layer.
        self.norms = nn.ModuleDict({name: nn.LayerNorm(c) for name, c in plan.maps.items()})
        self.reads = nn.ModuleDict(
            {name: nn.Linear(c, plan.hidden, bias=False) for name, c in plan.maps.items()}
        )
        self.bias = nn.Parameter(torch.zeros(plan.hidden))
        near = plan.projector == "convolution" and plan.level.kind == "dense"
        self.near = Depthwise(plan.hidden, KERNEL) if near else None
        self.mix = _transformer(plan.hidden) if plan.projector == "attention" else None
        if self.pools:
            self.norm_x = nn.LayerNorm(plan.x_channels)
            self.looks = nn.Linear(plan.hidden, GLANCES)
        inputs = GLANCES * plan.hidden + plan.x_channels if self.pools else plan.hidden
        self.head = nn.Linear(inputs, plan.latent)

    def _make_teacher_side(self, plan: LatentPlan) -> None:
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

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes the hidden layer again for the gradient; timm's name."""
        self.recompute = enable

    def forget(self) -> None:
        """Predicts zeros, as at the start: the mean of a centered level."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

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

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's latent coordinates, `[B, K]` or `[B, K, h, w]`."""
        if self.recompute:
            return recomputed(self._predict, features, grid)
        return self._predict(features, grid)

    def _predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        if grid is not None:
            return self.head(F.gelu(self._read(features, grid))).permute(0, 3, 1, 2)
        # A global level: the hidden layer on the coarsest grid, pooled by `GLANCES` weightings.
        h, w = min(features[name].shape[-2:] for name in self.plan.maps)
        x = self._read(features, (h, w)).flatten(1, 2)
        weights = self.looks(x).softmax(1)
        pooled = torch.einsum("bng,bnc->bgc", weights, F.gelu(x)).flatten(1)
        return self.head(torch.cat([pooled, self.norm_x(features["x"])], 1))

    def _read(self, features: Features, grid: tuple[int, int]) -> Tensor:
        """The hidden layer before its activation, on a grid: `[B, h, w, hidden]`."""
        hidden = self.bias
        for name in self.plan.maps:
            x = features[name]
            # Resizing and a linear map commute, so a finer map is resized before it is read, and a
            # coarser one after: either way the linear map has fewer cells.
            if x.shape[-2] > grid[0]:
                x = resize(x, grid)
            x = self.reads[name](self.norms[name](x.permute(0, 2, 3, 1)))
            hidden = hidden + resize(x.permute(0, 3, 1, 2), grid).permute(0, 2, 3, 1)
        if self.near is not None:
            x = hidden.permute(0, 3, 1, 2)
            hidden = (x + self.near(x)).permute(0, 2, 3, 1)
        if self.mix is not None:
            hidden = self.mix(hidden.flatten(1, 2)).unflatten(1, grid)
        return hidden

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
