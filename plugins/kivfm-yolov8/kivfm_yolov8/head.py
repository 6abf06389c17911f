"""YOLOv8's decoders: boxes from distributions of distances, and masks from prototypes.

Written from the published descriptions: YOLOv8, https://arxiv.org/abs/2408.15857; distances as
distributions (Generalized Focal Loss), https://arxiv.org/abs/2006.04388; masks as combinations of
prototypes (YOLACT), https://arxiv.org/abs/1904.02689.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from kivfm_core.predictions import Candidates, Detections, Instances
from kivfm_core.readout import Readout
from kivfm_core.spec import Level, TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_yolov8.layers import Conv

BINS = 16  # a side's distance from the cell is 0 to 15 strides
PROTOTYPES, PROTOTYPE_STRIDE = 32, 4
# Candidates that get a mask in an export: more than an image's objects, before suppression.
MASKED = 300


class Detector(nn.Module):
    """Two towers a level, one for boxes and one for classes.

    Args:
        spec: The teacher; its levels are what the head reads.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.levels, self.config = spec.levels, spec.config
        fine, classes = spec.levels[0].channels, spec.config["classes"]
        self.box = _towers(spec.levels, max(fine // 4, 4 * BINS), 4 * BINS)
        self.cls = _towers(spec.levels, max(fine, min(classes, 100)), classes)

    def logits(self, levels: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Of all cells of all levels, fine to coarse.

        Returns:
            Logits of the distance to the left, top, right and bottom side, `[B, N, 4, bins]`, and
            of the classes, `[B, N, K]`.
        """
        return self._flat(self.box, levels).unflatten(2, (4, BINS)), self._flat(self.cls, levels)

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Classes, and the distances of the cells that find an object."""
        distances, classes = self.logits(levels)
        sure = _sureness(classes)
        return [
            Readout(classes, "binary"),
            Readout(distances, "choice", sure[..., None].expand(-1, -1, 4)),
        ]

    def candidates(self, levels: Mapping[str, Tensor]) -> Candidates:
        """Every cell's box and scores, before suppression."""
        distances, classes = self.logits(levels)
        bins = torch.arange(BINS, device=distances.device, dtype=torch.float32)
        left_top, right_bottom = (distances.float().softmax(3) @ bins).chunk(2, dim=2)
        grids = [_grid(levels[x.name], x.stride or 1) for x in self.levels]
        center, stride = torch.cat(grids).split([2, 1], dim=1)
        boxes = torch.cat([center - left_top * stride, center + right_bottom * stride], dim=2)
        confidence, nms, most = (self.config[key] for key in ("confidence", "nms", "most"))
        return Candidates(boxes, classes.float().sigmoid(), confidence, nms, most)

    def forward(self, levels: Levels, prompt: None = None) -> Detections:
        """Boxes in canvas pixels; a cell can find several classes.

        Args:
            levels: `p3`, `p4`, `p5`.
            prompt: None; the classes are fixed.
        """
        return self.candidates(levels).chosen()[0]

    def _flat(self, towers: nn.ModuleList, levels: Mapping[str, Tensor]) -> Tensor:
        """`[B, N, c]`: what a tower a level gives, of all levels."""
        pairs = zip(towers, self.levels, strict=True)
        maps = [tower(levels[level.name]).flatten(2) for tower, level in pairs]
        return torch.cat(maps, dim=2).transpose(1, 2)


class Segmenter(Detector):
    """A third tower a level, whose numbers weigh the prototypes of masks that `p3` gives."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        fine, hidden = spec.levels[0].channels, spec.config["hidden"]
        self.mask = _towers(spec.levels, max(fine // 4, PROTOTYPES), PROTOTYPES)
        self.proto = nn.Sequential(
            Conv(fine, hidden, 3),
            nn.ConvTranspose2d(hidden, hidden, 2, 2),
            Conv(hidden, hidden, 3),
            Conv(hidden, PROTOTYPES),
        )

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """Also the prototypes, and the weights of the cells that find an object.

        An object's 32 weights count as one number, and the prototypes' cells, all together, as one
        number for each object: masks then weigh about as much as classes and boxes.
        """
        found = super().readout(levels)
        sure = _sureness(found[0].values) / PROTOTYPES
        prototypes = self._prototypes(levels).movedim(1, 3)
        _, h, w, _ = prototypes.shape
        share = (sure.sum(1) / (h * w))[:, None, None].expand(-1, h, w)
        weights = self._flat(self.mask, levels)
        return [*found, Readout(weights, "number", sure), Readout(prototypes, "number", share)]

    def masked_candidates(self, levels: Mapping[str, Tensor]) -> Candidates:
        """The best cells' boxes, scores and masks, before suppression."""
        every, weights = self.candidates(levels), self._flat(self.mask, levels)
        number = torch.sym_min(every.scores.shape[1], MASKED)
        best = every.scores.amax(2).topk(number, dim=1).indices[..., None]
        boxes, scores, weights = (
            x.gather(1, best.expand(-1, -1, x.shape[2]))
            for x in (every.boxes, every.scores, weights)
        )
        masks = _masks(weights, self._prototypes(levels), boxes)
        return replace(every, boxes=boxes, scores=scores, masks=masks, region="canvas")

    def forward(self, levels: Levels, prompt: None = None) -> Instances:
        """Boxes in canvas pixels, and masks in cells of the prototypes.

        Args:
            levels: `p3`, `p4`, `p5`.
            prompt: None; the classes are fixed.
        """
        found, places = self.candidates(levels).chosen()
        parts = zip(
            self._flat(self.mask, levels), self._prototypes(levels), found.boxes, places,
            strict=True,
        )  # fmt: skip
        masks = [_masks(weights[place], maps, boxes) for weights, maps, boxes, place in parts]
        return Instances(found.boxes, found.scores, found.labels, masks, region="canvas")

    def _prototypes(self, levels: Mapping[str, Tensor]) -> Tensor:
        """`[B, 32, H / 4, W / 4]` of canvases of `H` by `W` pixels."""
        return self.proto(levels[self.levels[0].name])


def _towers(levels: tuple[Level, ...], hidden: int, out: int) -> nn.ModuleList:
    """For each level, `[B, C, h, w] -> [B, out, h, w]`."""
    return nn.ModuleList(
        nn.Sequential(
            Conv(level.channels, hidden, 3), Conv(hidden, hidden, 3), nn.Conv2d(hidden, out, 1)
        )
        for level in levels
    )


def _sureness(classes: Tensor) -> Tensor:
    """How sure each cell is to find an object, `[B, N]`; no gradient goes through it."""
    return classes.detach().sigmoid().amax(2)


def _grid(level: Tensor, stride: int) -> Tensor:
    """The centers of a level's cells in canvas pixels, and the stride: `[h * w, 3]`."""
    h, w = level.shape[-2:]
    y, x = ((torch.arange(side, device=level.device) + 0.5) * stride for side in (h, w))
    parts = (x.expand(h, w), y[:, None].expand(h, w), torch.full((h, w), stride).to(x))
    return torch.stack(parts, dim=2).flatten(0, 1)


def _masks(weights: Tensor, prototypes: Tensor, boxes: Tensor) -> Tensor:
    """Probabilities `[..., n, h, w]` over the canvas, 0 in cells whose center is not in the box.

    Args:
        weights: `[..., n, 32]`.
        prototypes: `[..., 32, h, w]`.
        boxes: `[..., n, 4]`, in canvas pixels.
    """
    h, w = prototypes.shape[-2:]
    logits = (weights.float() @ prototypes.float().flatten(-2)).unflatten(-1, (h, w))
    y, x = ((torch.arange(side, device=boxes.device) + 0.5) * PROTOTYPE_STRIDE for side in (h, w))
    x0, y0, x1, y1 = boxes[..., None].unbind(-2)
    across, down = (x >= x0) & (x <= x1), (y >= y0) & (y <= y1)
    return logits.sigmoid() * (across[..., None, :] & down[..., :, None])


def build_detector(spec: TeacherSpec) -> nn.Module:
    """The decoder of a detector's spec, with random weights."""
    return Detector(spec)


def build_segmenter(spec: TeacherSpec) -> nn.Module:
    """The decoder of a segmenter's spec, with random weights."""
    return Segmenter(spec)
