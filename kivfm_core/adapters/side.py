"""The side adapter: a small convolutional pyramid beside a frozen base.

It sees the canvas at full resolution and the base's intermediate features (in the spirit of
ViT-Adapter, arXiv 2205.08534), and gives what a plain ViT lacks: maps of other strides, finer and
coarser. Nothing is sent back through the base, so that training needs no gradient there. What it
adds to x and V starts at zero: an untrained student is exactly its base. The paper leaves the
adapter's form open.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from kivfm_core.adapters.side_plan import EXPANSION, KERNEL, SidePlan
from kivfm_core.layers.checkpointing import recomputed
from kivfm_core.layers.depthwise import Depthwise
from kivfm_core.layers.resize import resize
from kivfm_core.layers.trunk_output import TrunkOutput


class Block(nn.Module):
    """Depthwise convolution and inverted bottleneck, residual (ConvNeXt, arXiv 2201.03545)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = Depthwise(width, KERNEL)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.reduce = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, C, h, w]` to `[B, C, h, w]`."""
        # Linear on channels-last is the same as a 1x1 convolution, and faster on every device.
        y = self.spatial(x).permute(0, 2, 3, 1)
        return x + self.reduce(F.gelu(self.expand(self.norm(y)))).permute(0, 3, 1, 2)


class SideAdapter(nn.Module):
    """Adds to a base's `{x, V}` and offers the pyramid's maps beside it."""

    def __init__(self, plan: SidePlan) -> None:
        super().__init__()
        self.plan = plan
        self.offers = [(offered.name, offered.stride) for offered in plan.maps]
        self.recompute = False
        widths = plan.widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0] // 2, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(widths[0] // 2, widths[0], 3, stride=2, padding=1),
        )
        self.downs = nn.ModuleList(
            nn.Sequential(LayerNorm2d(a), nn.Conv2d(a, b, 2, stride=2)) for a, b in pairwise(widths)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(w) for _ in range(n)))
            for n, w in zip(plan.depths, widths, strict=True)
        )
        self.taps = nn.ModuleList(
            nn.Sequential(LayerNorm2d(tap.channels), nn.Conv2d(tap.channels, widths[plan.entry], 1))
            for tap in plan.taps
        )
        offered = widths[plan.finest :]
        self.laterals = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(offered))
        self.mixes = nn.ModuleList(Block(a) for a in offered[:-1])
        self.norms = nn.ModuleList(LayerNorm2d(a) for a in offered)
        if plan.native:
            self.to_v = nn.Conv2d(widths[plan.entry], plan.v_channels, 1)
            self.to_x = nn.Linear(widths[-1], plan.x_channels)
        self.forget()

    def forget(self) -> None:
        """Adds nothing to x and V, as at the start."""
        for module in (self.to_v, self.to_x) if self.plan.native else ():
            for parameter in module.parameters():
                nn.init.zeros_(parameter)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes what the blocks keep for the gradient again; so named in timm, too."""
        self.recompute = enable

    def forward(self, canvas: Tensor, trunk: TrunkOutput) -> dict[str, Tensor]:
        """The student's features.

        Args:
            canvas: Normalized canvases `[B, 3, H, W]`.
            trunk: The base's x and V, and its maps at the plan's attachment points.

        Returns:
            `x`, `V` of the same shapes, if the adapter adds to them, and the plan's maps.
        """
        coarsest = self.plan.strides[-1]
        h, w = (-(-side // coarsest) * coarsest for side in canvas.shape[-2:])
        x = self.stem(resize(canvas, (h, w)).contiguous(memory_format=torch.channels_last))
        pyramid: list[Tensor] = []
        for i, blocks in enumerate(self.blocks):
            if i:
                x = self.downs[i - 1](x)
            if i == self.plan.entry:
                for tap, read in zip(trunk.attachments, self.taps, strict=True):
                    x = x + resize(read(tap), x.shape[-2:])
            x = self._run(blocks, x)
            pyramid.append(x)
        maps = self._refine(pyramid[self.plan.finest :])
        out: dict[str, Tensor] = {}
        if self.plan.native:
            added = self.to_v(maps[self.plan.entry - self.plan.finest])
            out["x"] = trunk.x + self.to_x(maps[-1].mean((2, 3)))
            out["V"] = trunk.v + resize(added, trunk.v.shape[-2:])
        for (name, stride), offered in zip(self.offers, maps, strict=True):
            grid = [-(-side // stride) for side in canvas.shape[-2:]]
            out[name] = resize(offered, grid)
        return out

    def _run(self, blocks: nn.Module, x: Tensor) -> Tensor:
        return recomputed(blocks, x) if self.recompute else blocks(x)

    def _refine(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """Carries what is coarse to what is fine (feature pyramid, arXiv 1612.03144)."""
        maps = [pyramid[-1]]
        for lateral, mix, fine in zip(
            reversed(self.laterals), reversed(self.mixes), reversed(pyramid[:-1]), strict=True
        ):
            maps.append(self._run(mix, fine + resize(lateral(maps[-1]), fine.shape[-2:])))
        return [norm(x) for norm, x in zip(self.norms, reversed(maps), strict=True)]
