"""torchvision's classifiers, cut before their last linear layer."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor

from kivfm_core.predictions import ClassLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import State
from kivfm_teachers.torchvision.skeleton import load_as_torchvision, skeleton


class Trunk(nn.Module):
    """The part of a classifier's graph that leads to the levels."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        model = get_model(spec.config["model"], weights=None).eval()
        self.model = create_feature_extractor(model, return_nodes=spec.config["nodes"])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `global [B, C]` and `dense [B, C, h, w]` of `[B, 3, H, W]`, as far as declared."""
        return self.model(x)


class ConvClassifier(nn.Module):
    """A head that pools class maps instead of features: SqueezeNet's."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        model = get_model(spec.config["model"], weights=None)
        self.head: nn.Module = model.get_submodule(spec.config["classifier"])

    def forward(self, levels: Levels, prompt: None = None) -> ClassLogits:
        """Gives `logits [B, K]` from `dense [B, C, h, w]`."""
        return ClassLogits(self.head(levels["dense"]).flatten(1))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The scores."""
        return [Readout(self.head(levels["dense"]).flatten(1), "choice")]


def split(spec: TeacherSpec, state: State) -> Mapping[str, State]:
    """Parts torchvision's checkpoint into the trunk and the head."""
    model = skeleton(spec.config["model"])
    load_as_torchvision(model, state)
    path, inner = f"{spec.config['classifier']}.", spec.config["head_prefix"]
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "head": {}}
    for key, value in model.state_dict().items():
        if key.startswith(path):
            parts["head"][inner + key.removeprefix(path)] = value
        else:
            parts["encoder"][f"model.{key}"] = value
    return parts
