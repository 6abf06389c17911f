"""sam/nano: the object under a click, whatever it is."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.geometry import Click, MaskPrompt
from kivfm_core.predictions import Masks
from kivfm_core.spec import TeacherSpec
from kivfm_nano.backbone import LevelNorm, Trunk, conv, grow

STRIDE = 4
# Where a box is clicked on, as shares of its sides.
INSIDE = (0.3, 0.5, 0.7)
# A logit of what is nowhere; 16 bits hold it.
FAR = -1e4


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
    """Clicks and level `dense` -> the mask of what was clicked on.

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

    def prompt(self, prompts: Sequence[Sequence[MaskPrompt]]) -> list[list[MaskPrompt]]:
        """Take clicks and boxes: for each image its prompts, in canvas pixels."""
        return [list(image) for image in prompts]

    def forward(
        self, levels: Mapping[str, Tensor], prompt: Sequence[Sequence[MaskPrompt]]
    ) -> Masks:
        """Segment what every prompt means: for each image logits [P, H/4, W/4]."""
        dense = levels["dense"]
        prompts = [p for image in prompt for p in image]
        clicks = [_clicks(p) for p in prompts]
        owner = torch.tensor(
            [i for i, image in enumerate(prompt) for p in image for _ in _clicks(p)],
            dtype=torch.long,
            device=dense.device,
        )
        places = dense.new_tensor([(c.x, c.y) for own in clicks for c in own]).reshape(-1, 2)
        single = self.click_logits(dense, owner, places).split([len(own) for own in clicks])
        masks = [
            _one(p, own, logits) for p, own, logits in zip(prompts, clicks, single, strict=True)
        ]
        whole = torch.stack(masks) if masks else dense.new_zeros(0, *dense.shape[-2:])
        return Masks(list(whole.split([len(image) for image in prompt])))

    def masks_at(
        self, levels: Mapping[str, Tensor], points: Tensor, labels: Tensor
    ) -> tuple[Tensor, None]:
        """The same as one graph, for exports.

        Args:
            levels: `dense` [B, C, h, w].
            points: (x, y) in canvas pixels, [B, P, N, 2].
            labels: What each is, [B, P, N]: 1 a positive click, 0 a negative one, 2 and 3 a box's
                corners, -1 nothing.

        Returns:
            Logits [B, P, h, w], and no scores.
        """
        dense = levels["dense"]
        low, high = ((points * (labels == at)[..., None]).sum(2, keepdim=True) for at in (2, 3))
        boxed = (labels == 2).any(2, keepdim=True)  # [B, P, 1]
        shares = torch.tensor([(a, b) for a in INSIDE for b in INSIDE], device=dense.device)
        nine = low + (high - low) * shares
        alone = boxed & ~(labels == 1).any(2, keepdim=True)
        clicks = torch.cat((points, nine), dim=2)
        owner = torch.arange(dense.shape[0], device=dense.device)[:, None, None]
        owner = owner.expand(clicks.shape[:3]).flatten()
        found = self.click_logits(dense, owner, clicks.flatten(0, 2))
        logits = found.unflatten(0, clicks.shape[:3])  # [B, P, N + 9, h, w]
        counts = torch.cat(((labels == 1), alone.expand(-1, -1, len(shares))), dim=2)
        counts = counts.to(logits.dtype)[..., None, None]
        mask = (logits * counts).sum(2) / counts.sum(2)
        negative = (labels == 0)[..., None, None]
        other = logits[:, :, : labels.shape[2]].masked_fill(~negative, FAR).amax(2)
        mask = torch.minimum(mask, mask - other)
        x, y = _centers(mask)
        (x0, y0), (x1, y1) = (p[..., None].unbind(-2) for p in (low, high))
        outside = boxed[..., None] & ((x < x0) | (x > x1) | (y < y0) | (y > y1))
        return torch.where(outside, mask.clamp(max=-1), mask), None

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
        x_share, y_share = clicks[:, 0] / (STRIDE * width), clicks[:, 1] / (STRIDE * height)
        spot = torch.stack((x_share, y_share), dim=1) * 2 - 1
        at = F.grid_sample(
            x[owner], spot[:, None, None], padding_mode="border", align_corners=False
        )
        query = self.query(at[:, :, 0, 0]).unflatten(1, (self.heads, 8))
        key = self.key(x).unflatten(1, (self.heads, 8))[owner]
        similar = torch.einsum("nkc,nkchw->nkhw", query, key) / 8**0.5
        return self.mix(torch.cat((self.value(x)[owner], similar), dim=1))[:, 0]


def _clicks(prompt: MaskPrompt) -> tuple[Click, ...]:
    """Its clicks; of a box without a positive one, nine inside, since its middle may be a hole."""
    if prompt.box is None or any(click.positive for click in prompt.clicks):
        return prompt.clicks
    x0, y0, x1, y1 = prompt.box
    nine = [Click(x0 + (x1 - x0) * a, y0 + (y1 - y0) * b) for a in INSIDE for b in INSIDE]
    return (*prompt.clicks, *nine)


def _one(prompt: MaskPrompt, clicks: Sequence[Click], logits: Tensor) -> Tensor:
    """One mask [h, w] from those of a prompt's clicks, [N, h, w].

    The decoder was trained on single clicks. Positive ones are averaged; a place that fits a
    negative one better is left out, and so is what lies outside the box.
    """
    positive = torch.tensor([click.positive for click in clicks], device=logits.device)
    mask = logits[positive].mean(0)
    if not positive.all():
        mask = torch.minimum(mask, mask - logits[~positive].amax(0))
    if prompt.box is None:
        return mask
    x0, y0, x1, y1 = prompt.box
    x, y = _centers(mask)
    outside = (x < x0) | (x > x1) | (y < y0) | (y > y1)
    return torch.where(outside, mask.clamp(max=-1), mask)


def _centers(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where the cells of a mask [..., h, w] lie on the canvas: x [w], y [h, 1]."""
    h, w = mask.shape[-2:]
    x = STRIDE * (torch.arange(w, device=mask.device) + 0.5)
    return x, STRIDE * (torch.arange(h, device=mask.device) + 0.5)[:, None]


def encoder(spec: TeacherSpec) -> Encoder:
    """Build the encoder."""
    return Encoder(spec.level("dense").channels)


def decoder(spec: TeacherSpec) -> Decoder:
    """Build the decoder."""
    return Decoder(spec.level("dense").channels)
