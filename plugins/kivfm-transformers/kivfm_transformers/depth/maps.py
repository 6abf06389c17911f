"""What a depth decoder returns: a map of depth for every canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.predictions import maps_to_original

Kind = Literal["relative", "metric"]


@dataclass(frozen=True)
class DepthMap:
    """The depth of one image.

    Attributes:
        depth: `[H, W]` in original pixels; NaN where the canvas does not show the image.
        kind: What the values are, as in `DepthMaps`.
    """

    depth: Tensor
    kind: Kind


@dataclass(frozen=True)
class DepthMaps:
    """The depth of a batch.

    Attributes:
        depth: `[B, h, w]` over the canvas.
        kind: `relative`: inverse depth, up to an unknown scale and shift, near is high;
            `metric`: distance in meters, near is low.
    """

    depth: Tensor
    kind: Kind

    def to_original(self, frames: Sequence[Frame]) -> list[DepthMap]:
        """One map `[H, W]` an image, in original pixels."""
        return [
            DepthMap(maps_to_original(depth[None], frame, outside=nan)[0], self.kind)
            for depth, frame in zip(self.depth, frames, strict=True)
        ]
