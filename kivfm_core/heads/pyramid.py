"""A feature pyramid on a student's maps, whatever strides these have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log2

import torch
from torch import Tensor, nn

from kivfm_core.geometry import Frame, Size
from kivfm_core.heads.head import Given
from kivfm_core.layers.resample import resample
from kivfm_core.layers.resize import resize
from kivfm_core.spec import Level


class Pyramid(nn.Module):
    """A student's dense maps as maps of one width at the strides that a head reads.

    A light feature pyramid (Lin et al., https://arxiv.org/abs/1612.03144), fed with what there is:
    each of the student's maps is normalized, brought to the width by a 1 x 1 convolution, and
    enters at the stride nearest to its own. Its content is added to all finer strides. Strides
    coarser than all entries get resized maps. A 3 x 3 convolution ends each stride.

    Args:
        levels: What the head reads; global levels are passed over.
        strides: Canvas pixels a cell, fine to coarse.
        width: Channels of its maps.

    Attributes:
        out_channels: The width, by the name that torchvision's detectors look for.
    """

    def __init__(self, levels: Sequence[Level], strides: Sequence[int], width: int) -> None:
        super().__init__()
        self.strides, self.out_channels = tuple(strides), width
        entering = [(level.name, level.stride) for level in levels if level.stride is not None]
        self.names = [name for name, _ in entering]
        self.places = [_nearest(stride, self.strides) for _, stride in entering]
        self.entries = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(level.channels), nn.Conv2d(level.channels, width, 1))
            for level in levels
            if level.stride is not None
        )
        self.ends = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in self.strides)

    def forward(self, levels: Given, cover: Size | None = None) -> list[Tensor]:
        """The pyramid's maps.

        Args:
            levels: The student's maps `[B, C, h, w]`, each over the whole canvas.
            cover: Height and width, in canvas pixels from its top left corner, that the maps cover;
                beyond the canvas its border is repeated. None: the canvas. If the coarsest stride
                divides it, each cell is exactly a stride wide.

        Returns:
            A map a stride, `[B, width, cover / stride]`, rounded.
        """
        area = cover or levels.canvas
        grids = [
            (max(1, round(area[0] / stride)), max(1, round(area[1] / stride)))
            for stride in self.strides
        ]
        parts: list[list[Tensor]] = [[] for _ in grids]
        for name, place, entry in zip(self.names, self.places, self.entries, strict=True):
            parts[place].append(_lay(entry(levels[name]), levels.canvas, area, grids[place]))
        top = max(self.places)
        maps = [torch.stack(parts[top]).sum(0)]
        for place in reversed(range(top)):
            maps.insert(0, torch.stack([*parts[place], resize(maps[0], grids[place])]).sum(0))
        for grid in grids[top + 1 :]:
            maps.append(resize(maps[-1], grid))
        return [end(one) for end, one in zip(self.ends, maps, strict=True)]


# Of a pyramid whose maps are summed. The maps of a plain ViT get one finer stride, for sharper
# borders.
FINE_STRIDES, FINE_WIDTH = (4, 8, 16, 32), 128


class FinePyramid(Pyramid):
    """A pyramid for heads that say something of every place: its maps are summed on the finest.

    As the semantic branch of Panoptic FPN (Kirillov et al., https://arxiv.org/abs/1901.02446),
    without its convolutions between strides.

    Args:
        levels: What the head reads; one of them at least is dense.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        finest = min(level.stride for level in levels if level.stride is not None)
        strides = [one for one in FINE_STRIDES if one >= finest // 2] or FINE_STRIDES[-1:]
        super().__init__(levels, strides, FINE_WIDTH)

    def summed(self, levels: Given) -> Tensor:
        """The sum of its maps `[B, 128, h, w]` on the finest grid."""
        maps = self(levels)
        finest = maps[0].shape[-2:]
        return torch.stack([resize(one, finest) for one in maps]).sum(0)


def whole_cells(canvas: Size, stride: int) -> Size:
    """The smallest area, from a canvas's top left corner, that whole cells of a stride cover."""
    return -(-canvas[0] // stride) * stride, -(-canvas[1] // stride) * stride


def _nearest(stride: int, strides: Sequence[int]) -> int:
    """The place of the stride whose ratio to another one is nearest to 1."""
    return min(range(len(strides)), key=lambda place: abs(log2(strides[place] / stride)))


def _lay(maps: Tensor, canvas: Size, area: Size, grid: tuple[int, int]) -> Tensor:
    """Maps of a canvas `[B, C, h, w]`, read on the cells `grid` of an area."""
    whole = Frame(canvas, (0, 0, canvas[1], canvas[0]), canvas, (0, 0), canvas)
    return resample(maps, [whole], [replace(whole, canvas=area)], grid)
