"""The side adapter: a small convolutional pyramid beside a frozen base.

It sees the canvas at full resolution and the base's intermediate features (in the spirit of
ViT-Adapter, arXiv 2205.08534), and gives what a plain ViT lacks: maps of finer stride. Nothing
is sent back through the base, so that training needs no gradient there. What it adds to x and V
starts at zero: an untrained student is exactly its base. The paper leaves the adapter's form open.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from kivfm_core.adapters.plan import EXPANSION, KERNEL, AdapterPlan
from kivfm_core.resize import resize


class Block(nn.Module):
    """Depthwise convolution and inverted bottleneck, residual (ConvNeXt, arXiv 2201.03545)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.reduce = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, C, h, w]` to `[B, C, h, w]`."""
        # Linear on channels-last is the same as a 1x1 convolution, and faster on every device.
        y = self.spatial(x).permute(0, 2, 3, 1)
        return x + self.reduce(F.gelu(self.expand(self.norm(y)))).permute(0, 3, 1, 2)


class SideAdapter(nn.Module):
    """Adds to a base's `{x, V}` and offers finer maps."""

    def __init__(self, plan: AdapterPlan) -> None:
        super().__init__()
        self.plan = plan
        widths, top = plan.widths, plan.widths[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0] // 2, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(widths[0] // 2, widths[0], 3, stride=2, padding=1),
        )
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(w) for _ in range(n)))
            for n, w in zip(plan.depths, widths, strict=True)
        )
        self.taps = nn.ModuleList(nn.Conv2d(tap.channels, top, 1) for tap in plan.taps)
        wanted = {fine.stride for fine in plan.fine}
        self.ups = nn.ModuleDict(
            {
                str(stride): nn.ModuleList([nn.Conv2d(b, a, 1), Block(a), LayerNorm2d(a)])
                for stride, (a, b) in zip(plan.strides, pairs, strict=False)
                if stride in wanted
            }
        )
        self.norm = LayerNorm2d(top)
        self.to_v = nn.Conv2d(top, plan.v_channels, 1)
        self.mix_x = nn.Conv2d(top, top, 1)
        self.to_x = nn.Conv2d(top, plan.x_channels, 1)
        for module in (self.to_v, self.to_x):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, canvas: Tensor, taps: Sequence[Tensor], base: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The student's features.

        Args:
            canvas: Normalized canvases `[B, 3, H, W]`.
            taps: The attachments' maps `[B, C, h, w]`, in the plan's order.
            base: The base's `x [B, D]` and `V [B, D, h, w]`.

        Returns:
            `x`, `V` of the same shapes, and the plan's finer maps.
        """
        coarsest = self.plan.strides[-1]
        h, w = (-(-side // coarsest) * coarsest for side in canvas.shape[-2:])
        x = self.stem(resize(canvas, (h, w)).contiguous(memory_format=torch.channels_last))
        pyramid: list[Tensor] = []
        for i, blocks in enumerate(self.blocks):
            if i:
                x = self.downs[i - 1](x)
            if i == len(self.blocks) - 1:
                for tap, read in zip(taps, self.taps, strict=True):
                    x = x + read(resize(tap, x.shape[-2:]))
            x = blocks(x)
            pyramid.append(x)
        out = self._refine(pyramid)
        for fine in self.plan.fine:
            grid = [-(-side // fine.stride) for side in canvas.shape[-2:]]
            out[fine.name] = resize(out[fine.name], grid)
        top = self.norm(x)
        pooled = self.to_x(F.gelu(self.mix_x(top.mean((2, 3), keepdim=True))))
        out["V"] = base["V"] + self.to_v(resize(top, base["V"].shape[-2:]))
        out["x"] = base["x"] + pooled.flatten(1)
        return out

    def _refine(self, pyramid: Sequence[Tensor]) -> dict[str, Tensor]:
        out: dict[str, Tensor] = {}
        coarse = pyramid[-1]
        for stride, fine in reversed(list(zip(self.plan.strides, pyramid, strict=True))[:-1]):
            if str(stride) not in self.ups:
                break
            lateral, block, norm = self.ups[str(stride)]  # pyright: ignore[reportGeneralTypeIssues]
            coarse = block(fine + resize(lateral(coarse), fine.shape[-2:]))
            out[f"V{stride}"] = norm(coarse)
        return out
