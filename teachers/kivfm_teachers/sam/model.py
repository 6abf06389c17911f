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
from kivfm_core.geometry import MaskPrompt, by_form
from kivfm_core.predictions import Masks
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import State
from kivfm_teachers.timm import model as timm_model

PARTS = ("prompt_encoder.", "mask_decoder.")


class MaskDecoder(nn.Module):
    """One mask a prompt: the one of three that the model scores best.

    The network knows its own square canvas alone. Levels of another, as a student that teaches has
    one, are put onto that, top left, and clicks with them.
    """

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

    def prompt(self, prompts: Sequence[Sequence[MaskPrompt]]) -> list[list[MaskPrompt]]:
        """Takes clicks and boxes, an image each, in canvas pixels."""
        return [list(image) for image in prompts]

    def forward(self, levels: Levels, prompt: Sequence[Sequence[MaskPrompt]]) -> Masks:
        """Gives `logits [P, H, W]` on the canvas, an image each, from `dense [B, C, h, w]`."""
        pairs = zip(self._on_own_grid(levels), prompt, strict=True)
        found = [self._image(features, prompts, levels.canvas) for features, prompts in pairs]
        return Masks([logits for logits, _ in found], [scores for _, scores in found])

    def _content(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """The cells `(h, w)` of the own grid that a canvas `(h, w)` covers."""
        cells = self.prompt_encoder.image_embedding_size[0]
        h, w = (max(1, round(cells * side / max(canvas))) for side in canvas)
        return h, w

    def _on_own_grid(self, levels: Levels) -> Tensor:
        """The level `[B, C, n, n]`; what the canvas does not cover is zero."""
        dense, cells = levels["dense"], self.prompt_encoder.image_embedding_size[0]
        h, w = self._content(levels.canvas)
        if dense.shape[-2:] != (h, w):
            dense = F.interpolate(dense, (h, w), mode="bilinear", align_corners=False)
        return F.pad(dense, (0, cells - w, 0, cells - h))

    def _scale(self, canvas: tuple[int, int]) -> tuple[float, float]:
        """`(sx, sy)` from a canvas to the own one, in pixels."""
        (h, w), cells = self._content(canvas), self.prompt_encoder.image_embedding_size[0]
        side = self.prompt_encoder.input_image_size[0]
        return side * w / cells / canvas[1], side * h / cells / canvas[0]

    def _on_canvas(self, masks: Tensor, canvas: tuple[int, int]) -> Tensor:
        """Masks `[N, 1, m, m]` of the own canvas, on one of `(h, w)` pixels: `[N, h, w]`."""
        (h, w), cells = self._content(canvas), self.prompt_encoder.image_embedding_size[0]
        fine = masks.shape[-1] // cells
        shown = masks[..., : h * fine, : w * fine]
        return F.interpolate(shown, canvas, mode="bilinear", align_corners=False)[:, 0]

    def _image(
        self, features: Tensor, prompts: Sequence[MaskPrompt], canvas: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Masks `[P, H, W]` of an image, and their scores `[P]`."""
        logits = features.new_zeros(len(prompts), *canvas)
        scores = features.new_zeros(len(prompts))
        for group in by_form(prompts):
            same = [prompts[index] for index in group]
            logits[group], scores[group] = self._masks(features, same, canvas)
        return logits, scores

    def _masks(
        self, features: Tensor, prompts: Sequence[MaskPrompt], canvas: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """The same, of prompts of one form: nothing but what the model itself pads is padded."""

        def tensor(values: list[Any]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=features.device)

        clicks = tensor([[(click.x, click.y) for click in p.clicks] for p in prompts])
        signs = tensor([[click.positive for click in p.clicks] for p in prompts])
        boxes, scale = [p.box for p in prompts], tensor([*self._scale(canvas)])
        sparse, dense = self.prompt_encoder(
            points=(clicks * scale, signs) if clicks.numel() else None,  # [P, N, 2], [P, N]: 1 or 0
            boxes=None if boxes[0] is None else tensor(boxes) * scale.repeat(2),
            masks=None,
        )
        masks, scores = self.mask_decoder(
            image_embeddings=features[None],
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )  # [P, 3, h, w], [P, 3]
        which = torch.arange(len(masks), device=masks.device), scores.argmax(dim=1)
        best = masks[which][:, None]
        return self._on_canvas(best, canvas), scores[which].clamp(0, 1)

    def masks_at(self, levels: Levels, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same as one graph, for exports.

        Args:
            levels: `dense [B, C, h, w]`.
            points: `[B, P, N, 2]`, (x, y) in canvas pixels.
            labels: `[B, P, N]`: 1 a positive click, 0 a negative one, 2 and 3 a box's corners,
                -1 nothing: without a box, upstream has one of these.

        Returns:
            Logits `[B, P, H, W]` on the canvas, and scores `[B, P]`.
        """
        features, encoder = self._on_own_grid(levels), self.prompt_encoder
        places = points.flatten(0, 1) * points.new_tensor(self._scale(levels.canvas))
        kinds = labels.flatten(0, 1)[..., None]
        sparse = encoder.pe_layer.forward_with_coords(places + 0.5, encoder.input_image_size)
        sparse = torch.where(kinds == -1, encoder.not_a_point_embed.weight, sparse)
        for number in range(4):
            kind: Any = encoder.point_embeddings[number]
            sparse = sparse + kind.weight * (kinds == number)
        dense = features[:, None] + encoder.no_mask_embed.weight[0][:, None, None]
        dense = dense.expand(-1, points.shape[1], -1, -1, -1).flatten(0, 1)
        masks, scores = self.mask_decoder(
            # Upstream repeats the one image for every prompt; here each has its own, added there.
            image_embeddings=torch.zeros_like(features[:1]),
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        which = scores.argmax(dim=1)[:, None]
        best = masks.gather(1, which[..., None, None].expand(-1, -1, *masks.shape[-2:]))
        whole = self._on_canvas(best, levels.canvas)
        shape = points.shape[:2]
        return whole.unflatten(0, shape), scores.gather(1, which)[:, 0].clamp(0, 1).unflatten(
            0, shape
        )


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
