"""torchvision's models with a backbone: it encodes, all the rest decodes.

The decoder is torchvision's own model, whose backbone is replaced by the levels that it is given,
so that nothing between backbone and predictions is written twice, or differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.ops import FrozenBatchNorm2d

from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import State
from kivfm_teachers.torchvision.skeleton import load_as_torchvision


def build(spec: TeacherSpec) -> Any:
    """The whole torchvision model of a spec, with random weights."""
    model = get_model(spec.config["model"], weights=None, weights_backbone=None)
    eps = spec.config.get("frozen_norm_eps")
    if eps is not None:
        _freeze_norms(model.backbone, eps)
    return model.eval()


def _freeze_norms(module: nn.Module, eps: float) -> None:
    """Puts frozen batch norms where torchvision has them only if it loads the weights itself."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, eps))
        else:
            _freeze_norms(child, eps)


class Backbone(nn.Module):
    """The backbone, and the feature pyramid where there is one."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.backbone: nn.Module = build(spec).backbone
        self.keys: dict[str, str] = spec.config["keys"]
        self.side = spec.input.size if spec.input.policy == "stretch" else None

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives maps `[B, C, h, w]` by level name of `[B, 3, H, W]`.

        Raises:
            ValueError: If the canvas is not of the one size that the model was made for.
        """
        if self.side and x.shape[2:] != (self.side, self.side):
            raise ValueError(f"takes canvases of {self.side} x {self.side} pixels, no others")
        maps = self.backbone(x)
        return {name: maps[key] for name, key in self.keys.items()}


class GivenBackbone(nn.Module):
    """Stands where the backbone was, and gives the levels that the decoder was given."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.keys: dict[str, str] = spec.config["keys"]
        self.levels: Levels | None = None

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives the maps under the backbone's own names; `x` is not looked at."""
        assert self.levels is not None
        return self.maps(self.levels)

    def maps(self, levels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Levels `[B, C, h, w]` under the backbone's own names."""
        return {key: levels[name] for name, key in self.keys.items()}


def split(spec: TeacherSpec, state: State) -> Mapping[str, State]:
    """Parts torchvision's checkpoint; torchvision itself brings old files' names up to date."""
    with torch.device("meta"):
        model = build(spec)
    state = {key: value for key, value in state.items() if not key.startswith("aux_classifier.")}
    load_as_torchvision(model, state)
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "decoder": {}}
    for key, value in model.state_dict().items():
        if key.startswith("backbone."):
            parts["encoder"][key] = value
        else:
            parts["decoder"][f"model.{key}"] = value
    return parts
