"""CLIP and SigLIP: two towers; the visual one encodes, the text one decodes zero-shot.

Papers: Radford et al., https://arxiv.org/abs/2103.00020; Zhai et al., SigLIP,
https://arxiv.org/abs/2303.15343.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer

from kivfm_core.predictions import ClassLogits
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.tokenizer import obtain_tokenizer
from kivfm_transformers.model import decoder_half, encoder_half
from kivfm_transformers.tokens import as_map

TEMPLATE = "This is a photo of {}."  # that of transformers' own zero-shot pipeline


class Encoder(nn.Module):
    """The visual tower."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `global [B, C]`, the joint embedding, and `dense [B, C', h, w]`, the tokens."""
        out = self.model.get_image_features(x, return_dict=True)
        stride = self.model.config.vision_config.patch_size
        return {"global": out.pooler_output, "dense": as_map(out.last_hidden_state, x, stride)}


class TextTower(nn.Module):
    """The text tower and the temperature: scores of class names from the `global` level."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = decoder_half(spec)
        self.spec = spec

    def prompt(self, labels: Sequence[str], templates: Sequence[str] | None = None) -> Tensor:
        """Makes a zero-shot classifier `[C, K]` of K class names, over templates."""
        tokenizer = AutoTokenizer.from_pretrained(obtain_tokenizer(self.spec, "zero-shot"))
        # SigLIP was trained on texts of full length; CLIP ignores padding.
        full = self.model.config.model_type == "siglip"
        length = {"padding": "max_length", "max_length": 64} if full else {"padding": True}
        ways = templates or (TEMPLATE,)
        texts = [way.format(label) for way in ways for label in labels]
        tokens = tokenizer(texts, truncation=True, return_tensors="pt", **length)
        tokens = tokens.to(self.model.logit_scale.device)
        features = self.model.get_text_features(**tokens, return_dict=True).pooler_output
        mean = F.normalize(features, dim=-1).unflatten(0, (len(ways), -1)).mean(dim=0)
        return F.normalize(mean, dim=-1).T if len(ways) > 1 else mean.T

    def forward(self, levels: Levels, prompt: Tensor) -> ClassLogits:
        """Gives `logits [B, K]` of the classifier `[C, K]` from `global [B, C]`."""
        logits = self.model.logit_scale.exp() * F.normalize(levels["global"], dim=-1) @ prompt
        bias = getattr(self.model, "logit_bias", None)
        return ClassLogits(logits if bias is None else logits + bias)
