"""The default aligner: a fixed, invertible map into the shared latent, and an MLP that meets it.

The teacher's side is closed-form: every channel is standardized, then rotated to its principal
axes, of which the leading `latent` are kept and scaled to unit mean variance. It is fitted once
from streaming sums and never trained, so it cannot collapse, and its pseudo-inverse is the way
back. In these coordinates every level of every teacher has the same mean variance, whatever its
magnitude and width, so none dominates (the paper's aim, arXiv 2508.14707; its own projectors are
not public: this form is our choice).
The student's side is an independent MLP per level, as in the paper; for a global level it ends in
attention pooling (a few learned glances at the whole picture).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.aligners.base import Aligner, Features
from kivfm_core.aligners.plan import GLANCES, AlignerPlan
from kivfm_core.resize import resize


class LatentAligner(Aligner):
    """Standardized principal coordinates of a level, and the student's MLP to them."""

    mean: Tensor
    std: Tensor
    axes: Tensor

    def __init__(self, plan: AlignerPlan) -> None:
        super().__init__(plan)
        channels = plan.level.channels
        self.norms = nn.ModuleDict({name: nn.LayerNorm(c) for name, c in plan.maps.items()})
        self.reads = nn.ModuleDict(
            {name: nn.Linear(c, plan.hidden, bias=False) for name, c in plan.maps.items()}
        )
        self.bias = nn.Parameter(torch.zeros(plan.hidden))
        self.is_global = plan.level.kind == "global"
        if self.is_global:
            self.norm_x = nn.LayerNorm(plan.x_channels)
            self.looks = nn.Linear(plan.hidden, GLANCES)
        inputs = GLANCES * plan.hidden + plan.x_channels if self.is_global else plan.hidden
        self.head = nn.Linear(inputs, plan.latent)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.register_buffer("axes", torch.eye(channels)[:, : plan.latent].clone())
        self.kept = 1.0

    def fit(self, count: int, total: Tensor, outer: Tensor) -> None:
        """Fits mean, standard deviation `[C]` and principal axes `[C, K]`."""
        mean = total / count
        covariance = outer / count - mean[:, None] * mean
        # A channel that hardly moves would be blown up to unit variance, and be all noise.
        std = covariance.diagonal().clamp(min=0).sqrt()
        std = std.maximum(0.1 * std.mean()).clamp(min=1e-8)
        values, axes = torch.linalg.eigh(covariance / (std[:, None] * std))
        # eigh leaves signs open; the largest entry made positive makes the axes reproducible.
        axes = axes.flip(1)[:, : self.plan.latent]
        peak = axes.gather(0, axes.abs().argmax(0, keepdim=True))
        self.mean.copy_(mean)
        self.std.copy_(std)
        values = values.clamp(min=0).flip(0)
        kept = values[: self.plan.latent]
        self.axes.copy_(axes * peak.sign() / kept.mean().clamp(min=1e-8).sqrt())
        self.kept = float(kept.sum() / values.sum().clamp(min=1e-8))

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's latent coordinates, `[B, K]` or `[B, K, h, w]`."""
        if grid is not None:
            return self.head(F.gelu(self._read(features, grid))).permute(0, 3, 1, 2)
        h, w = min(features[name].shape[-2:] for name in self.plan.maps)
        x = self._read(features, (h, w)).flatten(1, 2)
        looks = self.looks(x).softmax(1)
        seen = torch.einsum("bng,bnc->bgc", looks, F.gelu(x)).flatten(1)
        return self.head(torch.cat([seen, self.norm_x(features["x"])], 1))

    def _read(self, features: Features, grid: tuple[int, int]) -> Tensor:
        """The hidden layer before its activation, on a grid: `[B, h, w, hidden]`."""
        hidden = self.bias
        for name in self.plan.maps:
            x = features[name]
            # Resizing and a linear map commute: whichever leaves less to compute comes first.
            if x.shape[-2] > grid[0]:
                x = resize(x, grid)
            x = self.reads[name](self.norms[name](x.permute(0, 2, 3, 1)))
            hidden = hidden + resize(x.permute(0, 3, 1, 2), grid).permute(0, 2, 3, 1)
        return hidden

    def to_latent(self, level: Tensor) -> Tensor:
        """`[B, C]` to `[B, K]`, or `[B, C, h, w]` to `[B, K, h, w]`."""
        x = level if level.ndim == 2 else level.permute(0, 2, 3, 1)
        x = ((x - self.mean) / self.std) @ self.axes
        return x if level.ndim == 2 else x.permute(0, 3, 1, 2)

    def to_level(self, latent: Tensor) -> Tensor:
        """`[B, K]` to `[B, C]`, or `[B, K, h, w]` to `[B, C, h, w]`."""
        x = latent if latent.ndim == 2 else latent.permute(0, 2, 3, 1)
        # The axes are orthogonal and of one length, so this is their pseudo-inverse.
        x = (x @ self.axes.T) / self.axes[:, 0].square().sum() * self.std + self.mean
        return x if latent.ndim == 2 else x.permute(0, 3, 1, 2)
