"""sam/nano: the object under a click, whatever it is."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.predictions import Masks
from kivfm_core.spec import TeacherSpec
from kivfm_nano.backbone import LevelNorm, Trunk, conv, grow

STRIDE = 4


class Encoder(nn.Module):
    """Canvas [B, 3, H, W] -> `dense` [B, C, H/4, W/4]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        fine, middle, coarse = self.trunk.widths
        self.context = conv(coarse, channels, size=1)
        self.fuse_middle = conv(middle + channels, channels, size=1)
        self.fuse_fine = conv(fine + channels, channels, size=1)
        self.out = nn.Sequential(nn.Conv2d(channels, channels, 1), LevelNorm(0.1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the level."""
        fine, middle, coarse = self.trunk(x)
        top = grow(self.context(coarse), middle)
        top = grow(self.fuse_middle(torch.cat((middle, top), dim=1)), fine)
        return {"dense": self.out(self.fuse_fine(torch.cat((fine, top), dim=1)))}


class Decoder(nn.Module):
    """A click and level `dense` -> the mask of what was clicked on.

    It compares all places with the one under the click, and does not look at how far they are:
    what belongs together is the encoder's to know.
    """

    def __init__(self, channels: int, heads: int = 8, width: int = 24) -> None:
        super().__init__()
        self.heads = heads
        self.rescale = LevelNorm(1.0)
        self.key = nn.Conv2d(channels, 8 * heads, 1)
        self.query = nn.Linear(channels, 8 * heads)
        self.value = nn.Conv2d(channels, width, 1)
        self.mix = nn.Sequential(
            conv(width + heads, width),
            conv(width, width),
            nn.Conv2d(width, 1, 1),
        )

    def prompt(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Prepare clicks: for each image [P, 2], (x, y) in canvas pixels."""
        return [torch.as_tensor(clicks, dtype=torch.float32).view(-1, 2) for clicks in points]

    def forward(self, levels: Mapping[str, Tensor], prompt: Sequence[Tensor]) -> Masks:
        """Segment at every click: for each image logits [P, H/4, W/4]."""
        dense, counts = levels["dense"], [len(clicks) for clicks in prompt]
        owner = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
        clicks = torch.cat(list(prompt)).to(dense)
        return Masks(list(self.click_logits(dense, owner.to(dense.device), clicks).split(counts)))

    def click_logits(self, dense: Tensor, owner: Tensor, clicks: Tensor) -> Tensor:
        """Compute masks.

        Args:
            dense: The level [B, C, h, w].
            owner: Which image a click belongs to, [N].
            clicks: (x, y) in canvas pixels, [N, 2].

        Returns:
            Logits [N, h, w].
        """
        height, width = dense.shape[-2:]
        x = self.rescale(dense)
        spot = clicks / (STRIDE * clicks.new_tensor([width, height])) * 2 - 1
        at = F.grid_sample(
            x[owner], spot[:, None, None], padding_mode="border", align_corners=False
        )
        query = self.query(at[:, :, 0, 0]).unflatten(1, (self.heads, 8))
        key = self.key(x).unflatten(1, (self.heads, 8))[owner]
        similar = torch.einsum("nkc,nkchw->nkhw", query, key) / 8**0.5
        return self.mix(torch.cat((self.value(x)[owner], similar), dim=1))[:, 0]


def encoder(spec: TeacherSpec) -> Encoder:
    """Build the encoder."""
    return Encoder(spec.level("dense").channels)


def decoder(spec: TeacherSpec) -> Decoder:
    """Build the decoder."""
    return Decoder(spec.level("dense").channels)
