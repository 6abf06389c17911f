"""open_clip's two towers, apart: the visual one encodes, the text one decodes zero-shot.

Papers: Radford et al., https://arxiv.org/abs/2103.00020; Cherti et al., Reproducible scaling laws,
https://arxiv.org/abs/2212.07143; Zhai et al., SigLIP, https://arxiv.org/abs/2303.15343.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip import model as towers
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer
from torch import Tensor, nn

from kivfm_core.predictions import ClassLogits
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import State
from kivfm_core.weights.tokenizer import obtain_tokenizer

# OpenAI's files carry these numbers among the tensors.
NUMBERS = ("input_resolution", "context_length", "vocab_size")


def _config(spec: TeacherSpec) -> dict[str, Any]:
    config = open_clip.get_model_config(spec.config["model"])
    return {**config, "quick_gelu": spec.config["quick_gelu"], **spec.config.get("override", {})}


class VisualTower(nn.Module):
    """The visual tower."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        config = _config(spec)
        # open_clip has no public way to build one tower without the other.
        self.visual = towers._build_vision_tower(
            config["embed_dim"], config["vision_cfg"], config["quick_gelu"]
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `global [B, C]`, the joint embedding, and `dense [B, C', h, w]`, the tokens."""
        out = self.visual.forward_intermediates(x, indices=1, normalize_intermediates=True)
        return {"global": out["image_features"], "dense": out["image_intermediates"][-1]}


class TextTower(nn.Module):
    """The text tower and the temperature: scores of class names from the `global` level."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        config = _config(spec)
        self.spec = spec
        self.text = towers._build_text_tower(
            config["embed_dim"], config["text_cfg"], config["quick_gelu"]
        )
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.logit_bias = nn.Parameter(torch.zeros(())) if "init_logit_bias" in config else None

    def encode_text(self, tokens: Tensor, normalize: bool = False) -> Tensor:
        """Embeds token ids `[N, L]` as `[N, C]`."""
        features = self.text(tokens)
        return F.normalize(features, dim=-1) if normalize else features

    def prompt(self, labels: Sequence[str], templates: Sequence[str] | None = None) -> Tensor:
        """Makes a zero-shot classifier `[C, K]` of K class names, over templates.

        By default open_clip's seven simple ones, which do as well as CLIP's eighty.
        """
        return open_clip.build_zero_shot_classifier(
            self,
            self._tokenizer(),
            list(labels),
            templates or open_clip.SIMPLE_IMAGENET_TEMPLATES,
            device=self.logit_scale.device,
        )

    def _tokenizer(self) -> Any:
        """As `open_clip.get_tokenizer` makes it, which contacts the hub even for local files."""
        model = self.spec.config["model"]
        folder = obtain_tokenizer(self.spec, "zero-shot")
        if folder is None:
            return open_clip.get_tokenizer(model)
        text = open_clip.get_model_config(model)["text_cfg"]
        return HFTokenizer(
            str(folder),
            text.get("context_length", DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text.get("tokenizer_mode"),
            **text.get("tokenizer_kwargs", {}),
        )

    def forward(self, levels: Levels, prompt: Tensor) -> ClassLogits:
        """Gives `logits [B, K]` of the classifier `[C, K]` from `global [B, C]`."""
        logits = self.logit_scale.exp() * F.normalize(levels["global"], dim=-1) @ prompt
        return ClassLogits(logits if self.logit_bias is None else logits + self.logit_bias)


def split(spec: TeacherSpec, state: State) -> Mapping[str, State]:
    """Parts open_clip's checkpoint, of any of its layouts, into the two towers."""
    state = {key: value for key, value in state.items() if key not in NUMBERS}
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "text": {}}
    for key, value in towers.convert_to_custom_text_state_dict(state).items():
        part = "encoder" if key.startswith("visual.") else "text"
        scalar = key in ("logit_scale", "logit_bias")
        parts[part][key] = value.reshape(()) if scalar else value
    return parts
