"""SegFormer: semantic segmentation from four maps.

Paper: Xie et al., SegFormer, https://arxiv.org/abs/2105.15203.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from kivfm_core.predictions import SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_transformers.model import decoder_half, encoder_half
from kivfm_transformers.stages import as_levels


class Encoder(nn.Module):
    """The hierarchical transformer."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives a map `[B, C, h, w]` a stage, fine to coarse."""
        out = self.model.segformer(x, output_hidden_states=True, return_dict=True)
        return as_levels(out.hidden_states)


class Segmenter(nn.Module):
    """The all-MLP head."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)

    def forward(self, levels: Levels, prompt: None = None) -> SemanticLogits:
        """Gives `logits [B, K, H / 4, W / 4]` from the maps."""
        return SemanticLogits(self._logits(levels))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Every place's class."""
        return [Readout(self._logits(levels).movedim(1, -1), "choice")]

    def _logits(self, levels: Mapping[str, Tensor]) -> Tensor:
        return self.model.decode_head(list(levels.values()))
