"""detector/nano: boxes, categories and masks, in one stage (FCOS) with a mask head on top."""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, roi_align

from kivfm_core.predictions import Candidates, Instances
from kivfm_core.readout import Readout
from kivfm_core.spec import TeacherSpec
from kivfm_nano.backbone import LevelNorm, Trunk, conv, grow

STRIDES = {"p8": 8, "p16": 16}
# Candidates that get a mask in an export.
MASKED = 100


class Encoder(nn.Module):
    """Canvas [B, 3, H, W] -> `p8` [B, C8, H/8, W/8] and `p16` [B, C16, H/16, W/16]."""

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        _, c8, c16 = self.trunk.widths
        self.context = conv(c16, 64, size=1)
        self.p8 = nn.Sequential(
            conv(c8 + 64, fine, size=1), nn.Conv2d(fine, fine, 1), LevelNorm(10.0)
        )
        self.p16 = nn.Sequential(conv(c16, coarse, size=1), nn.Conv2d(coarse, coarse, 1),
                                 LevelNorm(10.0))  # fmt: skip

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the levels."""
        _, c8, c16 = self.trunk(x)
        c8 = torch.cat((c8, grow(self.context(c16), c8)), dim=1)
        return {"p8": self.p8(c8), "p16": self.p16(c16)}


class Head(nn.Module):
    """The outputs of one level at every cell."""

    def __init__(self, channels: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.rescale = LevelNorm(1.0)
        self.tower = nn.Sequential(conv(channels, width), conv(width, width))
        self.classify = nn.Conv2d(width, classes, 1)
        self.localize = nn.Conv2d(width, 5, 1)
        nn.init.constant_(self.classify.bias, -4.0)  # as rare as objects are

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute raw predictions.

        Args:
            x: The level [B, C, h, w].

        Returns:
            Class logits [B, hw, K], distances (left, up, right, down) in strides [B, hw, 4],
            logits of centeredness [B, hw].
        """
        x = self.tower(self.rescale(x))
        classes = self.classify(x).flatten(2).transpose(1, 2)
        place = self.localize(x).flatten(2).transpose(1, 2)
        return classes, place[..., :4].clamp(max=3).exp() * 2, place[..., 4]


class Decoder(nn.Module):
    """Levels `p8` and `p16` -> boxes, scores, labels and box masks."""

    def __init__(self, fine: int, coarse: int, classes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"p8": Head(fine, classes), "p16": Head(coarse, classes)})
        self.rescale = LevelNorm(1.0)
        self.masks = nn.Sequential(
            conv(fine, 48), conv(48, 48), conv(48, 48),
            nn.Conv2d(48, 4, 1), nn.PixelShuffle(2),
        )  # fmt: skip

    def dense(self, levels: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predict at every place of every level.

        Returns:
            Class logits [B, N, K], boxes xyxy in canvas pixels [B, N, 4], logits of centeredness
            [B, N], and the places (x, y, stride) [N, 3].
        """
        classes, reach, center = self._heads(levels)
        spots = torch.cat([places(levels[name], stride) for name, stride in STRIDES.items()])
        x, y, stride = spots.unbind(1)
        left, up, right, down = (reach * stride[:, None]).unbind(2)
        boxes = torch.stack((x - left, y - up, x + right, y + down), dim=2)
        return classes, boxes, center, spots

    def _heads(self, levels: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        found = [self.heads[name](levels[name]) for name in STRIDES]
        return tuple(torch.cat(parts, dim=1) for parts in zip(*found, strict=True))

    def candidates(self, levels: Mapping[str, Tensor]) -> Candidates:
        """Every place's box and scores, before suppression."""
        classes, boxes, center, _ = self.dense(levels)
        height, width = (STRIDES["p8"] * side for side in levels["p8"].shape[-2:])
        scores = (classes.sigmoid() * center.sigmoid()[..., None]).sqrt()
        boxes = clip_boxes_to_image(boxes, (height, width))
        return Candidates(boxes, scores, threshold=0.05, iou=0.55, most=30)

    def masked_candidates(self, levels: Mapping[str, Tensor]) -> Candidates:
        """The best places' boxes, scores and masks, before suppression."""
        every = self.candidates(levels)
        number = torch.sym_min(every.scores.shape[1], MASKED)
        best = every.scores.amax(2).topk(number, dim=1).indices[..., None]
        boxes = every.boxes.gather(1, best.expand(-1, -1, 4))
        scores = every.scores.gather(1, best.expand(-1, -1, every.scores.shape[2]))
        inside = _inside(self.rescale(levels["p8"]), boxes / STRIDES["p8"])
        masks = self.masks(inside.flatten(0, 1))[:, 0].unflatten(0, boxes.shape[:2]).sigmoid()
        return replace(every, boxes=boxes, scores=scores, masks=masks)

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Classes, extents and centeredness, an object each at the places that find one."""
        classes, reach, center = self._heads(levels)
        sure = (classes.detach().sigmoid().amax(2) * center.detach().sigmoid()).sqrt()
        return [
            Readout(classes, "binary"),
            Readout(reach.log(), "number", sure),
            Readout(center[..., None], "binary", sure),
        ]

    def mask_logits(self, fine: Tensor, boxes: Tensor | list[Tensor]) -> Tensor:
        """Segment inside boxes.

        Args:
            fine: Level `p8`.
            boxes: For each image [N, 4], in canvas pixels; or all, [N, 5], the image's
                number first.

        Returns:
            [sum of N, 28, 28].
        """
        inside = roi_align(self.rescale(fine), boxes, 14, 1 / STRIDES["p8"], 2, aligned=True)
        return self.masks(inside)[:, 0]

    def forward(self, levels: Mapping[str, Tensor], prompt: None = None) -> Instances:
        """Find objects: at most 30 an image, scores above 0.05."""
        found, _ = self.candidates(levels).chosen()
        sizes = [len(boxes) for boxes in found.boxes]
        masks = self.mask_logits(levels["p8"], found.boxes).sigmoid().split(sizes)
        return Instances(found.boxes, found.scores, found.labels, list(masks))


def _inside(level: Tensor, boxes: Tensor) -> Tensor:
    """What `roi_align` gives, by operators that every runtime has.

    Args:
        level: [B, C, h, w].
        boxes: Inside it, in its cells, [B, N, 4].

    Returns:
        [B, N, C, 14, 14]: each the mean of four samples.
    """
    height, width = level.shape[-2:]
    steps = (torch.arange(28, device=level.device) + 0.5) / 28
    low, extent = boxes[..., :2], boxes[..., 2:] - boxes[..., :2]
    at = low[..., None, :] + extent[..., None, :] * steps[:, None]  # [B, N, 28, 2]
    x, y = at[..., 0] / width * 2 - 1, at[..., 1] / height * 2 - 1
    x, y = x[:, :, None].expand(-1, -1, 28, -1), y[..., None].expand(-1, -1, -1, 28)
    grid = torch.stack((x, y), dim=-1).flatten(1, 2)  # [B, 28 N, 28, 2]
    seen = F.grid_sample(level, grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(seen, 2).unflatten(2, (-1, 14)).transpose(1, 2)


def places(level: Tensor, stride: int) -> Tensor:
    """The centers of a level's cells in canvas pixels, and the stride: [hw, 3]."""
    height, width = level.shape[-2:]
    y, x = torch.meshgrid(
        (torch.arange(height, device=level.device) + 0.5) * stride,
        (torch.arange(width, device=level.device) + 0.5) * stride,
        indexing="ij",
    )
    return torch.stack((x, y, torch.full_like(x, stride)), dim=2).flatten(0, 1)


def encoder(spec: TeacherSpec) -> Encoder:
    """Build the encoder."""
    return Encoder(spec.level("p8").channels, spec.level("p16").channels)


def decoder(spec: TeacherSpec) -> Decoder:
    """Build the decoder."""
    classes = len(spec.task("detection").labels)
    return Decoder(spec.level("p8").channels, spec.level("p16").channels, classes)
