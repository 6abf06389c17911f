"""What a depth decoder returns: a map of depth for every canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal, get_args

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

    def numbers(self) -> list[Tensor]:
        """The maps, an image each."""
        return list(self.depth)


def check_depth(predictions: DepthMaps, classes: int | None) -> str:
    """What is wrong with the form of predictions, for the conformance kit; empty if nothing is."""
    if predictions.kind not in get_args(Kind):
        return f"its kind is {predictions.kind!r}, not one of {', '.join(get_args(Kind))}"
    if predictions.depth.ndim != 3:
        return f"its depth is {tuple(predictions.depth.shape)}, not [B, h, w]"
    if not predictions.depth.isfinite().all():
        return "its depth is not finite"
    if predictions.kind == "metric" and (predictions.depth < 0).any():
        return "its depth in meters is negative"
    return ""
