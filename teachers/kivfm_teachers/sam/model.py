"""SAM's prompt encoder and mask decoder, from the authors' package `segment-anything`.

The encoder is timm's; both take the authors' checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.errors import PluginError
from kivfm_core.predictions import Masks
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import State
from kivfm_teachers.timm import model as timm_model

PARTS = ("prompt_encoder.", "mask_decoder.")


class MaskDecoder(nn.Module):
    """One mask a click: the one of three that the model scores best."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        from segment_anything import modeling

        level, side = spec.level("dense"), spec.input.size
        channels = level.channels
        self.prompt_encoder = modeling.PromptEncoder(
            embed_dim=channels,
            image_embedding_size=level.grid((side, side)),
            input_image_size=(side, side),
            mask_in_chans=16,
        )
        self.mask_decoder = modeling.MaskDecoder(
            transformer_dim=channels,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=channels, mlp_dim=2048, num_heads=8
            ),
        )

    def prompt(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Takes clicks on objects, `[P, 2]` (x, y) an image, in canvas pixels."""
        return [torch.as_tensor(clicks, dtype=torch.float32).view(-1, 2) for clicks in points]

    def forward(self, levels: Levels, prompt: Sequence[Tensor]) -> Masks:
        """Gives `logits [P, H, W]` on the canvas, an image each, from `dense [B, C, h, w]`."""
        pairs = zip(levels["dense"], prompt, strict=True)
        return Masks([self._masks(features, clicks, levels.canvas) for features, clicks in pairs])

    def _masks(self, features: Tensor, clicks: Tensor, canvas: tuple[int, int]) -> Tensor:
        if not len(clicks):
            return features.new_zeros(0, *canvas)
        clicks = clicks.to(features.device)[:, None]  # [P, 1, 2]: a prompt each
        sparse, dense = self.prompt_encoder(
            points=(clicks, clicks.new_ones(clicks.shape[:2])), boxes=None, masks=None
        )
        masks, scores = self.mask_decoder(
            image_embeddings=features[None],
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )  # [P, 3, h, w], [P, 3]
        best = masks[torch.arange(len(masks), device=masks.device), scores.argmax(dim=1)]
        return F.interpolate(best[:, None], canvas, mode="bilinear", align_corners=False)[:, 0]


class MissingDecoder(nn.Module):
    """Stands where the mask decoder would, so that the encoder works without its package."""

    def prompt(self, **raw: Any) -> NoReturn:
        """Raises `PluginError` with the command that installs the package."""
        raise PluginError("SAM's masks need the package segment-anything", "pip install kivfm[sam]")

    def forward(self, levels: Levels, prompt: Any = None) -> NoReturn:
        """Raises `PluginError` with the command that installs the package."""
        self.prompt()


def _installed() -> bool:
    return find_spec("segment_anything") is not None


def decoder(spec: TeacherSpec) -> nn.Module:
    """SAM's mask decoder; without its package, a module that raises how to install it."""
    return MaskDecoder(spec) if _installed() else MissingDecoder()


def split(spec: TeacherSpec, state: State) -> Mapping[str, State]:
    """Parts the authors' checkpoint; timm's has the encoder alone."""
    parts = dict(
        timm_model.split(spec, {k: v for k, v in state.items() if not k.startswith(PARTS)})
    )
    masks = {key: value for key, value in state.items() if key.startswith(PARTS)}
    return {"encoder": parts["encoder"], "mask": masks if _installed() else {}}
