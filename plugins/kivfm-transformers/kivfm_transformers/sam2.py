"""SAM 2 on images: masks from clicks, from three maps.

Paper: Ravi et al., SAM 2, https://arxiv.org/abs/2408.00714.
"""

from __future__ import annotations

from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_transformers import sam
from kivfm_transformers.model import encoder_half
from kivfm_transformers.stages import as_levels


class Encoder(nn.Module):
    """The image encoder and its feature pyramid."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives three maps `[B, C, h, w]`, fine to coarse."""
        return as_levels(self.model.vision_encoder(x, return_dict=True).fpn_hidden_states)


class MaskDecoder(sam.MaskDecoder):
    """As SAM's, with two finer maps."""

    def embeddings(self, levels: Levels, index: int) -> list[Tensor]:
        """The finer maps projected, and the coarsest as for an image that is no part of a video."""
        fine, middle, coarse = (value[index : index + 1] for value in levels.values())
        decoder = self.model.mask_decoder
        no_memory = self.model.no_memory_embedding.view(1, -1, 1, 1)
        return [decoder.conv_s0(fine), decoder.conv_s1(middle), coarse + no_memory]
