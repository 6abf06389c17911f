"""YOLOX's encoder: CSPDarknet and a path-aggregating feature pyramid.

YOLOX, arXiv:2107.08430; PANet, arXiv:1803.01534.
https://github.com/Megvii-BaseDetection/YOLOX (Apache-2.0)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec
from kivfm_yolox.layers import CSP, SPP, Conv, Focus, conv3x3


class CSPDarknet(nn.Module):
    """The backbone: maps at strides 8, 16 and 32."""

    def __init__(self, depth: float, width: float, depthwise: bool) -> None:
        super().__init__()
        c, n = int(64 * width), max(round(3 * depth), 1)

        def stage(i: int, blocks: int, shortcut: bool = True) -> list[nn.Module]:
            o = 2 * i
            return [conv3x3(i, o, 2, depthwise), CSP(o, o, blocks, shortcut, depthwise)]

        self.stem = Focus(c)
        self.dark2 = nn.Sequential(*stage(c, n))
        self.dark3 = nn.Sequential(*stage(2 * c, 3 * n))
        self.dark4 = nn.Sequential(*stage(4 * c, 3 * n))
        down, csp = stage(8 * c, n, shortcut=False)
        self.dark5 = nn.Sequential(down, SPP(16 * c), csp)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[B, 3, H, W]` to the maps at strides 8, 16 and 32."""
        fine = self.dark3(self.dark2(self.stem(x)))
        middle = self.dark4(fine)
        return fine, middle, self.dark5(middle)


class PAFPN(nn.Module):
    """Backbone, a pyramid from coarse to fine, and a path back from fine to coarse."""

    def __init__(self, depth: float, width: float, depthwise: bool) -> None:
        super().__init__()
        fine, middle, coarse = (int(c * width) for c in (256, 512, 1024))
        n = round(3 * depth)
        self.backbone = CSPDarknet(depth, width, depthwise)
        self.lateral_conv0 = Conv(coarse, middle)
        self.C3_p4 = CSP(2 * middle, middle, n, False, depthwise)
        self.reduce_conv1 = Conv(middle, fine)
        self.C3_p3 = CSP(2 * fine, fine, n, False, depthwise)
        self.bu_conv2 = conv3x3(fine, fine, 2, depthwise)
        self.C3_n3 = CSP(2 * fine, middle, n, False, depthwise)
        self.bu_conv1 = conv3x3(middle, middle, 2, depthwise)
        self.C3_n4 = CSP(2 * middle, coarse, n, False, depthwise)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Levels of a canvas.

        Args:
            x: Normalized canvas `[B, 3, H, W]`, sides multiples of 32.

        Returns:
            `p3`, `p4`, `p5`: `[B, c, H / s, W / s]` at strides 8, 16, 32.
        """
        fine, middle, coarse = self.backbone(x)
        coarse = self.lateral_conv0(coarse)
        middle = self.reduce_conv1(self.C3_p4(torch.cat([_double(coarse), middle], dim=1)))
        p3 = self.C3_p3(torch.cat([_double(middle), fine], dim=1))
        p4 = self.C3_n3(torch.cat([self.bu_conv2(p3), middle], dim=1))
        p5 = self.C3_n4(torch.cat([self.bu_conv1(p4), coarse], dim=1))
        return {"p3": p3, "p4": p4, "p5": p5}


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def build_encoder(spec: TeacherSpec) -> nn.Module:
    """The encoder of a spec, with random weights."""
    config = spec.config
    return PAFPN(config["depth"], config["width"], config["depthwise"])
