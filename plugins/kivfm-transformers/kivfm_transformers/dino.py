"""DINOv2, with and without registers, and DINOv3: general features, learned without labels.

Papers: Oquab et al., DINOv2, https://arxiv.org/abs/2304.07193; Darcet et al., Vision Transformers
Need Registers, https://arxiv.org/abs/2309.16588; Simeoni et al., DINOv3,
https://arxiv.org/abs/2508.10104.
"""

from __future__ import annotations

from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec
from kivfm_transformers.model import encoder_half
from kivfm_transformers.tokens import as_map


class Encoder(nn.Module):
    """The whole model."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `global [B, C]`, the class token, and `dense [B, C, h, w]`, the grid's tokens."""
        out = self.model(x, return_dict=True)
        dense = as_map(out.last_hidden_state, x, self.model.config.patch_size)
        return {"global": out.pooler_output, "dense": dense}
