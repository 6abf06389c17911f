"""The student's side of aligners: an MLP from the student's features to coordinates.

Every map is read on its own; before the activation, a convolution or a transformer block (DUNE,
arXiv 2503.14405) may let places look at others. What is predicted for a whole image ends in
attention pooling: a few weighted means over all places, with learned weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.aligners.aligner import Aligner, Features
from kivfm_core.aligners.projector_plan import GLANCES, KERNEL, ProjectorPlan, heads_of
from kivfm_core.layers.checkpointing import recomputed
from kivfm_core.layers.depthwise import Depthwise
from kivfm_core.layers.resize import resize


def _transformer(width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        width, heads_of(width), 2 * width, dropout=0.0, activation="gelu", batch_first=True,
        norm_first=True,
    )  # fmt: skip


class Projector(Aligner):
    """Predicts coordinates of every place on a grid, or of the image."""

    def __init__(self, plan: ProjectorPlan) -> None:
        super().__init__(plan)
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
        Projector.forget(self)  # a subclass's own parts are not there yet
        self.recompute = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes the hidden layer again for the gradient; timm's name."""
        self.recompute = enable

    def forget(self) -> None:
        """Predicts zeros, as at the start: the mean of a centered level."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

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
