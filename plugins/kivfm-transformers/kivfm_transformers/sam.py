"""Segment Anything: masks from clicks.

Paper: Kirillov et al., Segment Anything, https://arxiv.org/abs/2304.02643.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.predictions import Masks
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_transformers.model import decoder_half, encoder_half


class Encoder(nn.Module):
    """The image encoder."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `dense [B, C, h, w]`."""
        return {"dense": self.model.vision_encoder(x, return_dict=True).last_hidden_state}


class MaskDecoder(nn.Module):
    """One mask a click: the best scored of the three that the model gives."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)

    def prompt(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Takes clicks on objects, `[P, 2]` (x, y) an image, in canvas pixels."""
        return [torch.as_tensor(clicks, dtype=torch.float32).view(-1, 2) for clicks in points]

    def forward(self, levels: Levels, prompt: Sequence[Tensor]) -> Masks:
        """Gives `logits [P, H, W]` on the canvas, an image each, from `dense [B, C, h, w]`."""
        return Masks(
            [
                self._masks(self.embeddings(levels, index), clicks, levels)
                for index, clicks in enumerate(prompt)
            ]
        )

    def embeddings(self, levels: Levels, index: int) -> Any:
        """The model's `image_embeddings` for the image at `index`."""
        return levels["dense"][index : index + 1]

    def _masks(self, embeddings: Any, clicks: Tensor, levels: Levels) -> Tensor:
        like = next(iter(levels.values()))
        if not len(clicks):
            return like.new_zeros(0, *levels.canvas)
        out = self.model(
            image_embeddings=embeddings,
            input_points=clicks.to(like.device)[None, :, None],  # [1, P, 1, 2]: a prompt each
            multimask_output=True,
            return_dict=True,
        )
        masks, best = out.pred_masks[0], out.iou_scores[0].argmax(dim=1)  # [P, 3, h, w], [P]
        masks = masks[torch.arange(len(masks), device=masks.device), best]
        return F.interpolate(masks[:, None], levels.canvas, mode="bilinear", align_corners=False)[
            :, 0
        ]
