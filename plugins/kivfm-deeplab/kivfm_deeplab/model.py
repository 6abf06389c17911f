"""DeepLabv3 on MobileNetV2, as its authors made it small: image pooling beside one 1x1 branch.

Rethinking Atrous Convolution for Semantic Image Segmentation, arXiv:1706.05587, and MobileNetV2,
arXiv:1801.04381 (section 6.3: no atrous pyramid, stride 16).
"""

from __future__ import annotations

from collections.abc import Mapping

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.predictions import SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.weights.loading import State

HEAD = ("pool_conv.", "aspp0.", "project.", "logits.")


class Encoder(nn.Module):
    """MobileNetV2 without its classifier, the last stage dilated instead of strided."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        net = timm.create_model(backbone, output_stride=16)
        self.conv_stem, self.bn1, self.blocks = net.conv_stem, net.bn1, net.blocks

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """`[B, 3, H, W]` to `dense` `[B, 320, ceil(H / 16), ceil(W / 16)]`."""
        return {"dense": self.blocks(self.bn1(self.conv_stem(x)))}


class Decoder(nn.Module):
    """Image pooling and a 1x1 convolution, joined; logits resized to the canvas."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool_conv = nn.Conv2d(channels, 256, 1)
        self.aspp0 = nn.Conv2d(channels, 256, 1)
        self.project = nn.Conv2d(512, 256, 1)
        self.logits = nn.Conv2d(256, classes, 1)

    def forward(self, levels: Levels, prompt: None = None) -> SemanticLogits:
        """Logits `[B, K, H, W]` on the canvas.

        Args:
            levels: `dense` `[B, C, h, w]`.
            prompt: None; the classes are fixed.
        """
        # A canvas of 16 n + 1 pixels has its grid's corners on its own: hence align_corners.
        logits = F.interpolate(
            self._logits(levels["dense"]), size=levels.canvas, mode="bilinear", align_corners=True
        )
        return SemanticLogits(logits)

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The scores of every cell."""
        return [Readout(self._logits(levels["dense"]).movedim(1, -1), "choice")]

    def _logits(self, x: Tensor) -> Tensor:
        pooled = F.relu(self.pool_conv(x.mean(dim=(2, 3), keepdim=True))).expand(
            -1, -1, *x.shape[2:]
        )
        joined = torch.cat([pooled, F.relu(self.aspp0(x))], dim=1)
        return self.logits(F.relu(self.project(joined)))


def build_encoder(spec: TeacherSpec) -> nn.Module:
    """The encoder of a spec, with random weights."""
    return Encoder(spec.config["backbone"])


def build_decoder(spec: TeacherSpec) -> nn.Module:
    """The decoder of a spec, with random weights."""
    return Decoder(spec.level("dense").channels, spec.config["classes"])


def split(spec: TeacherSpec, state: State) -> dict[str, State]:
    """Tells the head's entries from the backbone's."""
    head = {key: value for key, value in state.items() if key.startswith(HEAD)}
    return {"encoder": {k: v for k, v in state.items() if k not in head}, "decoder": head}
