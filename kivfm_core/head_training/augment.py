"""Augmentation: torchvision's transforms, of a canvas with its labels."""

from __future__ import annotations

from typing import Any, cast

import torch
import torchvision.transforms.v2 as T
from torch import Tensor
from torchvision.tv_tensors import Image, Mask

from kivfm_core.heads.head import Target

# Zooming moves boxes and maps with the image; what comes from outside of it does not count.
_ZOOM = T.RandomAffine(
    degrees=(0.0, 0.0),
    translate=(0.1, 0.1),
    scale=(0.7, 1.4),
    interpolation=T.InterpolationMode.BILINEAR,
    fill=cast(Any, {Image: 0.5, Mask: -1}),
)
_EVERY = T.Compose(
    [
        T.RandomHorizontalFlip(),
        _ZOOM,
        T.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
        T.ClampBoundingBoxes(),
        T.SanitizeBoundingBoxes(min_size=2, labels_getter=lambda given: given[1].get("labels")),
    ]
)
_NO_BOXES = T.Compose(cast(Any, _EVERY).transforms[:3])


def augment(canvas: Tensor, target: Target) -> tuple[Tensor, Target]:
    """A canvas and its labels, flipped, zoomed and recolored by torch's random numbers.

    Args:
        canvas: `[3, H, W]` in [0, 1].
        target: Its labels.
    """
    change = _EVERY if "boxes" in target else _NO_BOXES
    image, found = cast(tuple[Image, Target], change(Image(canvas), target))
    return torch.as_tensor(image).as_subclass(Tensor).clamp(0, 1), found
