"""clip/nano: images and sentences in one space."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.predictions import ClassLogits
from kivfm_core.scenes import CATEGORIES, COLORS, TEXTURES
from kivfm_core.spec import TeacherSpec
from kivfm_nano.backbone import LevelNorm, Trunk

# The vocabulary; 0 is padding, 1 any other word.
WORDS = (
    *CATEGORIES, *COLORS, *TEXTURES, "a", "an", "and", "of", "flat", "night", "paper", "drawing",
    "painting", "picture", "cutout",
)  # fmt: skip

TEMPLATES = ("{}", "a {}", "a flat drawing of a {}", "a painting of a {}",
             "a night picture of a {}", "a paper cutout of a {}")  # fmt: skip
LENGTH = 36


def tokenize(sentences: Sequence[str]) -> Tensor:
    """Turn sentences into word numbers [N, 36]."""
    known = {word: i for i, word in enumerate(WORDS, 2)}
    tokens = torch.zeros(len(sentences), LENGTH, dtype=torch.long)
    for row, sentence in zip(tokens, sentences, strict=True):
        words = sentence.lower().replace(",", " ").split()[:LENGTH]
        row[: len(words)] = torch.tensor([known.get(word, 1) for word in words])
    return tokens


class Encoder(nn.Module):
    """Canvas [B, 3, H, W] -> `global` [B, D], `dense` [B, C, H/16, W/16]."""

    def __init__(self, embedding: int, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.dense = nn.Sequential(nn.Conv2d(self.trunk.widths[-1], channels, 1), LevelNorm(1.0))
        self.look = nn.Conv2d(channels, heads, 1)
        self.out = nn.Sequential(nn.Linear(heads * channels, embedding), LevelNorm(0.3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the levels."""
        dense = self.dense(self.trunk(x)[-1])
        weights = self.look(dense).flatten(2).softmax(dim=2)
        pooled = torch.einsum("bkn,bcn->bkc", weights, dense.flatten(2))
        return {"global": self.out(pooled.flatten(1)), "dense": dense}


class TextTower(nn.Module):
    """Sentences -> the joint space; and the zero-shot decoder that compares with them."""

    def __init__(self, embedding: int, width: int = 96, depth: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS) + 2, width, padding_idx=0)
        self.places = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out = nn.Linear(width, embedding)
        self.temperature = nn.Parameter(torch.tensor(math.log(10.0)))

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences: [N, D] of length 1."""
        tokens = tokenize(sentences).to(self.places.device)
        blank = tokens == 0
        x = self.layers(self.words(tokens) + self.places, src_key_padding_mask=blank)
        x = x.masked_fill(blank[..., None], 0).sum(1) / (~blank).sum(1, keepdim=True)
        return F.normalize(self.out(x), dim=1)

    def prompt(self, labels: Sequence[str], templates: Sequence[str] | None = None) -> Tensor:
        """Embed class names: [K, D], the mean over templates."""
        every = templates or TEMPLATES
        ways = [self.embed([way.format(name) for name in labels]) for way in every]
        return F.normalize(torch.stack(ways).mean(0), dim=1)

    def forward(self, levels: Mapping[str, Tensor], prompt: Tensor) -> ClassLogits:
        """Compare images with sentences: logits [B, K]."""
        images = F.normalize(levels["global"], dim=1)
        return ClassLogits(self.temperature.exp() * images @ prompt.T)


def encoder(spec: TeacherSpec) -> Encoder:
    """Build the encoder."""
    return Encoder(spec.level("global").channels, spec.level("dense").channels)


def decoder(spec: TeacherSpec) -> TextTower:
    """Build the text tower."""
    return TextTower(spec.level("global").channels)
