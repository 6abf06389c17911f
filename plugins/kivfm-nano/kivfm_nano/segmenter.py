"""segmenter/nano: one class for every pixel."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kivfm_core.predictions import SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_nano.backbone import LevelNorm, Trunk, conv, grow


class Encoder(nn.Module):
    """Canvas [B, 3, H, W] -> `dense` [B, C, H/8, W/8]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        _, middle, coarse = self.trunk.widths
        self.fuse = conv(middle + 64, channels, size=1)
        self.context = conv(coarse, 64, size=1)
        self.out = nn.Sequential(nn.Conv2d(channels, channels, 1), LevelNorm(3.0))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the level."""
        _, middle, coarse = self.trunk(x)
        context = grow(self.context(coarse), middle)
        return {"dense": self.out(self.fuse(torch.cat((middle, context), dim=1)))}


class Decoder(nn.Module):
    """Level `dense` -> class scores at twice its resolution."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.hidden = conv(channels, 64)
        self.logits = nn.Sequential(nn.Conv2d(64, 4 * classes, 1), nn.PixelShuffle(2))

    def forward(self, levels: Mapping[str, Tensor], prompt: None = None) -> SemanticLogits:
        """Score every place: [B, K, H/4, W/4]."""
        return SemanticLogits(self.logits(self.hidden(levels["dense"])))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The scores of every place."""
        return [Readout(self(levels).logits.movedim(1, -1), "choice")]


def encoder(spec: TeacherSpec) -> Encoder:
    """Build the encoder."""
    return Encoder(spec.level("dense").channels)


def decoder(spec: TeacherSpec) -> Decoder:
    """Build the decoder."""
    return Decoder(spec.level("dense").channels, len(spec.task("semantic-segmentation").labels))
