"""Augmentation: torchvision's transforms, of a canvas with its labels."""

from __future__ import annotations

from typing import Any, cast

import torch
import torchvision.transforms.v2 as T
from torch import Tensor
from torchvision.tv_tensors import Image, Mask

from kivfm_core.heads.head import Meters, Target
from kivfm_core.heads.targets import clean_boxes


class _Zoom(T.RandomAffine):
    """Torchvision's, but that it knows of meters.

    For the camera that took an image, what is seen twice as large is half as far away (as in Eigen
    et al., https://arxiv.org/abs/1406.2283).
    """

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """An image or its labels, zoomed and moved."""
        seen = super().transform(inpt, params)
        return Meters(seen / params["scale"]) if isinstance(inpt, Meters) else seen


# Zooming moves labels with the image; what comes from outside of it does not count.
_CHANGE = T.Compose(
    [
        T.RandomHorizontalFlip(),
        _Zoom(
            degrees=(0.0, 0.0),
            translate=(0.1, 0.1),
            scale=(0.7, 1.4),
            interpolation=T.InterpolationMode.BILINEAR,
            fill=cast(Any, {Image: 0.5, Mask: -1, Meters: -1}),
        ),
        T.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
    ]
)


def augment(canvas: Tensor, target: Target) -> tuple[Tensor, Target]:
    """A canvas and its labels, flipped, zoomed and recolored by torch's random numbers.

    Objects that are moved out of the canvas are left out.

    Args:
        canvas: `[3, H, W]` in [0, 1].
        target: Its labels.
    """
    image, found = cast(tuple[Image, Target], _CHANGE(Image(canvas), target))
    if "boxes" in found:
        found = cast(Target, clean_boxes(found))
    return torch.as_tensor(image).as_subclass(Tensor).clamp(0, 1), found
