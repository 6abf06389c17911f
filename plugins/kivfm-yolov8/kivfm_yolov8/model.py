"""YOLOv8's encoder: a backbone of C2f stages and a path-aggregating feature pyramid.

Written from the published description of the architecture (https://arxiv.org/abs/2408.15857).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec
from kivfm_yolov8.layers import SPPF, C2f, Conv


class Encoder(nn.Module):
    """Canvases to the three maps that the heads read.

    Args:
        widths: Channels at strides 2, 4, 8, 16 and 32.
        depth: Bottlenecks of the shortest stages; the two middle ones have twice as many.
    """

    def __init__(self, widths: Sequence[int], depth: int) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = widths

        def stage(i: int, o: int, n: int) -> list[nn.Module]:
            return [Conv(i, o, 3, 2), C2f(o, o, n, shortcut=True)]

        def mix(i: int, o: int) -> nn.Module:
            return C2f(i, o, depth, shortcut=False)

        self.stem = Conv(3, c2, 3, 2)
        self.stage2 = nn.Sequential(*stage(c2, c4, depth))
        self.stage3 = nn.Sequential(*stage(c4, c8, 2 * depth))
        self.stage4 = nn.Sequential(*stage(c8, c16, 2 * depth))
        self.stage5 = nn.Sequential(*stage(c16, c32, depth), SPPF(c32))
        self.top4, self.top3 = mix(c32 + c16, c16), mix(c16 + c8, c8)
        self.down3, self.out4 = Conv(c8, c8, 3, 2), mix(c8 + c16, c16)
        self.down4, self.out5 = Conv(c16, c16, 3, 2), mix(c16 + c32, c32)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Levels of a canvas.

        Args:
            x: Canvas `[B, 3, H, W]`, RGB in [0, 1], sides multiples of 32.

        Returns:
            `p3`, `p4`, `p5`: `[B, c, H / s, W / s]` at strides 8, 16, 32.
        """
        fine = self.stage3(self.stage2(self.stem(x)))
        middle = self.stage4(fine)
        coarse = self.stage5(middle)
        middle = self.top4(torch.cat([_double(coarse), middle], dim=1))
        p3 = self.top3(torch.cat([_double(middle), fine], dim=1))
        p4 = self.out4(torch.cat([self.down3(p3), middle], dim=1))
        p5 = self.out5(torch.cat([self.down4(p4), coarse], dim=1))
        return {"p3": p3, "p4": p4, "p5": p5}


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def build_encoder(spec: TeacherSpec) -> nn.Module:
    """The encoder of a spec, with random weights."""
    return Encoder(spec.config["widths"], spec.config["depth"])
