"""The network, apart as encoder and decoder, and whole as it was published."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from kivfm_core.predictions import Detections
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec

# The first classes of the head are background: black, gray and white.
BACKGROUND = 3
# Objects of lower score are left out; so much may boxes of one class overlap; so many are kept.
THRESHOLD, OVERLAP, MOST = 0.1, 0.5, 100


class Encoder(nn.Module):
    """Normalized canvas [B, 3, H, W] -> `dense` [B, C, H/8, W/8]."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, channels, stride, stride, bias=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute every level that the spec declares."""
        return {"dense": self.cells(x)}


class Decoder(nn.Module):
    """Level `dense` -> boxes around what has a color."""

    def __init__(self, channels: int, classes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.names = nn.Conv2d(channels, BACKGROUND + classes, 1)
        self.reach = nn.Conv2d(channels, 4, 1)

    def forward(self, levels: Mapping[str, Tensor], prompt: None = None) -> Detections:
        """Objects in canvas pixels; a canvas's size, where needed, is `levels.canvas`."""
        dense = levels["dense"]
        return find(self.names(dense), self.reach(dense), self.stride)

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """What students are compared by, beside the levels: classes, and where objects are."""
        names = self.names(levels["dense"]).movedim(1, -1)
        reach = self.reach(levels["dense"]).movedim(1, -1)
        sure = names.detach().softmax(-1)[..., BACKGROUND:].amax(-1)
        return [Readout(names, "choice"), Readout(reach, "number", sure)]


def find(names: Tensor, reach: Tensor, stride: int) -> Detections:
    """The objects in what the heads give.

    Args:
        names: Logits of background and classes, [B, K, h, w].
        reach: How far a box reaches left, up, right and down of its cell's center: [B, 4, h, w],
            in cells after a softplus.
        stride: Pixels a cell.

    Returns:
        Boxes x0, y0, x1, y1 in canvas pixels, scores in 0..1, and indices of the spec's labels.
    """
    h, w = names.shape[2:]
    scores, labels = names.softmax(1)[:, BACKGROUND:].flatten(2).max(1)
    y, x = torch.meshgrid(
        torch.arange(h, device=names.device), torch.arange(w, device=names.device), indexing="ij"
    )
    center = torch.stack([x, y]).flatten(1) + 0.5
    reach = F.softplus(reach).flatten(2)
    corners = torch.cat([center - reach[:, :2], center + reach[:, 2:]], 1).movedim(1, 2) * stride
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for boxes, score, label in zip(corners, scores, labels, strict=True):
        sure = score > THRESHOLD
        boxes, score, label = boxes[sure], score[sure], label[sure]
        kept = batched_nms(boxes, score, label, OVERLAP)[:MOST]
        found.append((boxes[kept], score[kept], label[kept]))
    boxes, score, label = map(list, zip(*found, strict=True))
    return Detections(boxes, score, label)


class Original(nn.Module):
    """The whole model as it was published: what encoder and decoder are compared with.

    Its state is what the weights file holds.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 18, 8, stride=8, bias=False)
        self.names = nn.Conv2d(18, 9, 1)
        self.reach = nn.Conv2d(18, 4, 1)

    def forward(self, canvases: Tensor, prompts: Mapping[str, Any]) -> dict[str, Detections]:
        """The outputs for canvases [B, 3, H, W], RGB in [0, 1], not normalized."""
        x = self.cells(2 * canvases - 1)
        return {"detection": find(self.names(x), self.reach(x), 8)}

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
    level = spec.level("dense")
    assert level.stride is not None
    return Decoder(level.channels, len(spec.task("detection").labels), level.stride)


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tell the decoder's tensors in the weights file from the encoder's."""
    decoder = {key: value for key, value in state.items() if not key.startswith("cells.")}
    encoder = {key: value for key, value in state.items() if key not in decoder}
    return {"encoder": encoder, "decoder": decoder}
