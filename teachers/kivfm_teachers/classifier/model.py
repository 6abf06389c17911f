"""A supervised model's own head: the last linear layer, on the vector that it takes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from kivfm_core.predictions import ClassLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels


class LinearClassifier(nn.Linear):
    """Class scores from the `global` level."""

    def forward(self, levels: Levels, prompt: None = None) -> ClassLogits:
        """Gives `logits [B, K]` from `global [B, C]`."""
        return ClassLogits(super().forward(levels["global"]))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The scores."""
        return [Readout(super().forward(levels["global"]), "choice")]


def linear(spec: TeacherSpec) -> nn.Module:
    """The head of a spec: `config["classes"]` classes; `config["bias"]` may be false."""
    channels, classes = spec.level("global").channels, spec.config["classes"]
    return LinearClassifier(channels, classes, bias=spec.config.get("bias", True))
