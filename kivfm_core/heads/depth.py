"""A head for depth in meters, on a light feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.heads.head import Given, Head, Target
from kivfm_core.heads.places import at_places
from kivfm_core.heads.pyramid import FINE_WIDTH, FinePyramid
from kivfm_core.predictions import DepthMaps
from kivfm_core.spec import TeacherSpec

# The share of an image's squared mean error that does not count: half of it, as in the paper.
FORGIVEN = 0.5
# Logarithms of meters that are predicted at the least and most: e^-9 is a tenth of a millimeter.
NEAREST, FARTHEST = -9.0, 12.0


class DepthHead(Head):
    """A feature pyramid whose maps are summed, and a 1 x 1 convolution to the logarithm of meters.

    Args:
        spec: Of the head.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__(spec)
        self.pyramid = FinePyramid(self.levels)
        self.norm = nn.BatchNorm2d(FINE_WIDTH)
        self.measure = nn.Conv2d(FINE_WIDTH, 1, 1)

    def logarithms(self, levels: Given) -> Tensor:
        """Logarithms of meters `[B, 1, h, w]` on the pyramid's finest grid."""
        return self.measure(F.relu(self.norm(self.pyramid.summed(levels))))

    def forward(self, levels: Given, prompt: Any = None) -> DepthMaps:
        """The depth of every place in meters."""
        found = self.logarithms(levels)[:, 0].float()
        return DepthMaps(found.clamp(NEAREST, FARTHEST).exp(), "metric")

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """The scale-invariant loss of logarithms, over the images that have a measured place.

        Of an image whose errors are `d` it is `mean(d^2) - mean(d)^2 / 2` (Eigen et al.,
        https://arxiv.org/abs/1406.2283).
        """
        meters = torch.stack([torch.as_tensor(target.get("depth")) for target in targets])
        found, wanted = at_places(self.logarithms(levels), meters)
        known = wanted > 0  # padding is below
        errors = torch.where(known, found[:, 0] - wanted.clamp(min=1e-6).log(), 0.0)
        number = known.sum((1, 2)).clamp(min=1)
        mean, squares = errors.sum((1, 2)) / number, errors.square().sum((1, 2)) / number
        images = known.any(2).any(1).sum().clamp(min=1)
        return (squares - FORGIVEN * mean.square()).sum() / images
