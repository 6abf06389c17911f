"""An adapter kind and an aligner kind from outside the package: one file, plan and module each."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from kivfm_core.adapters.adapter import Adapter
from kivfm_core.adapters.plan import AdapterPlan
from kivfm_core.aligners.aligner import Aligner
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.layers.resize import resize


class ScalePlan(AdapterPlan):
    """A factor for every channel of x and V."""

    module: ClassVar[str] = "toy_kinds:ScaleAdapter"

    kind: str = "scale"
    channels: dict[str, int]

    @classmethod
    def plan(cls, request):
        return cls(channels={"x": request.x_channels, "V": request.v.channels})

    @property
    def parameters(self):
        return sum(self.channels.values())

    @property
    def outline(self):
        return {"channels": self.channels}


class ScaleAdapter(Adapter):
    def __init__(self, plan, trunk=None):
        super().__init__(plan)
        self.changes = nn.ParameterDict({k: torch.zeros(c) for k, c in plan.channels.items()})

    def adapt(self, canvas, trunk, run_base):
        base = trunk.features
        shapes = {name: (1, -1) + (1,) * (x.ndim - 2) for name, x in base.items()}
        return {k: x * (1 + self.changes[k].view(shapes[k])) for k, x in base.items()}

    def forget(self):
        for change in self.changes.values():
            nn.init.zeros_(change)


class LinearPlan(AlignerPlan):
    """A linear map from V; the teacher's side is centered."""

    module: ClassVar[str] = "toy_kinds:LinearAligner"

    kind: str = "linear"

    @property
    def parameters(self):
        channels = self.level.channels
        return (self.maps["V"] + 1) * channels + channels


class LinearAligner(Aligner):
    def __init__(self, plan):
        super().__init__(plan)
        self.read = nn.Linear(plan.maps["V"], plan.level.channels)
        self.register_buffer("mean", torch.zeros(plan.level.channels))
        self.forget()

    def fit(self, count, total, outer):
        self.mean.copy_(total / count)

    def predict(self, features, grid):
        v = features["V"].mean((2, 3), keepdim=True) if grid is None else features["V"]
        y = self.read(resize(v, grid or (1, 1)).movedim(1, -1)).movedim(-1, 1)
        return y.flatten(1) if grid is None else y

    def to_latent(self, level):
        return level - self._mean(level)

    def to_level(self, latent):
        return latent + self._mean(latent)

    def _mean(self, x):
        return self.mean.view((1, -1) + (1,) * (x.ndim - 2))

    def forget(self):
        for parameter in self.read.parameters():
            nn.init.zeros_(parameter)
