"""The network, apart as encoder and decoder, and whole as it was published."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.predictions import SemanticLogits
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec


class Encoder(nn.Module):
    """Normalized canvas [B, 3, H, W] -> `dense` [B, C, H/8, W/8]."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, channels, stride, stride, bias=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute every level that the spec declares."""
        return {"dense": self.cells(x)}


class Decoder(nn.Module):
    """Level `dense` -> a score for every color in every cell."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.names = nn.Conv2d(channels, classes, 1)

    def forward(self, levels: Mapping[str, Tensor], prompt: None = None) -> SemanticLogits:
        """Answer in canvas pixels: logits [B, K, h, w] cover the canvas."""
        return SemanticLogits(self.names(levels["dense"]))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """What students are compared by, beside the levels: every cell's scores."""
        return [Readout(self.names(levels["dense"]).movedim(1, -1), "choice")]


class Original(nn.Module):
    """The whole model as it was published: what encoder and decoder are compared with.

    Its state is what the weights file holds.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 18, 8, stride=8, bias=False)
        self.names = nn.Conv2d(18, 9, 1)

    def forward(self, canvases: Tensor, prompts: Mapping[str, Any]) -> dict[str, SemanticLogits]:
        """The outputs for canvases [B, 3, H, W], RGB in [0, 1], not normalized."""
        x = 2 * canvases - 1
        return {"semantic-segmentation": SemanticLogits(self.names(self.cells(x)))}

    def preprocess(self, image: Tensor) -> Tensor:
        """What the model was given of an image, uint8 [3, H, W]: call your own code here."""
        x = F.interpolate(image[None] / 255, (96, 96), mode="bilinear", antialias=True)
        return 2 * x[0] - 1


def build_encoder(spec: TeacherSpec) -> nn.Module:
    """The encoder of a spec, with random weights."""
    level = spec.level("dense")
    assert level.stride is not None
    return Encoder(level.channels, level.stride)


def build_decoder(spec: TeacherSpec) -> nn.Module:
    """The decoder of a spec, with random weights; it is made without the encoder."""
    return Decoder(spec.level("dense").channels, len(spec.task("semantic-segmentation").labels))


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tell the decoder's tensors in the weights file from the encoder's."""
    decoder = {key: value for key, value in state.items() if key.startswith("names.")}
    encoder = {key: value for key, value in state.items() if key not in decoder}
    return {"encoder": encoder, "decoder": decoder}
