"""Segment Anything: masks from clicks and boxes.

Paper: Kirillov et al., Segment Anything, https://arxiv.org/abs/2304.02643.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.geometry import MaskPrompt, by_form
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
    """One mask a prompt: the best scored of the three that the model gives."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)

    def prompt(self, prompts: Sequence[Sequence[MaskPrompt]]) -> list[list[MaskPrompt]]:
        """Takes clicks and boxes, an image each, in canvas pixels."""
        return [list(image) for image in prompts]

    def forward(self, levels: Levels, prompt: Sequence[Sequence[MaskPrompt]]) -> Masks:
        """Gives `logits [P, H, W]` on the canvas, an image each, from `dense [B, C, h, w]`."""
        found = [
            self._image(self.embeddings(levels, index), prompts, levels)
            for index, prompts in enumerate(prompt)
        ]
        return Masks([logits for logits, _ in found], [scores for _, scores in found])

    def embeddings(self, levels: Levels, index: int) -> Any:
        """The model's `image_embeddings` for the image at `index`."""
        return levels["dense"][index : index + 1]

    def _image(
        self, embeddings: Any, prompts: Sequence[MaskPrompt], levels: Levels
    ) -> tuple[Tensor, Tensor]:
        """Masks `[P, H, W]` of an image, and their scores `[P]`."""
        like = next(iter(levels.values()))
        logits = like.new_zeros(len(prompts), *levels.canvas)
        scores = like.new_zeros(len(prompts))
        for group in by_form(prompts):
            given = _inputs([prompts[i] for i in group], like.device)
            out = self.model(
                image_embeddings=embeddings, multimask_output=True, return_dict=True, **given
            )
            which = torch.arange(len(group), device=like.device), out.iou_scores[0].argmax(dim=1)
            best = out.pred_masks[0][which][:, None]  # of [P, 3, h, w]
            whole = F.interpolate(best, levels.canvas, mode="bilinear", align_corners=False)
            logits[group], scores[group] = whole[:, 0], out.iou_scores[0][which].clamp(0, 1)
        return logits, scores


def _inputs(prompts: Sequence[MaskPrompt], device: torch.device) -> dict[str, Tensor]:
    """The model's inputs for prompts of one form: nothing but what itself pads is padded."""
    given: dict[str, Tensor] = {}
    if prompts[0].clicks:
        clicks = [[(click.x, click.y) for click in p.clicks] for p in prompts]
        signs = [[int(click.positive) for click in p.clicks] for p in prompts]
        given["input_points"] = torch.tensor(clicks, dtype=torch.float32)[None]  # [1, P, N, 2]
        given["input_labels"] = torch.tensor(signs, dtype=torch.int)[None]
    if prompts[0].box is not None:
        boxes = [p.box for p in prompts]
        given["input_boxes"] = torch.tensor(boxes, dtype=torch.float32)[None]  # [1, P, 4]
    return {name: value.to(device) for name, value in given.items()}
