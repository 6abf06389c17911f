"""What torchvision's detectors take: canvases without pixels, and the objects on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from kivfm_core.geometry import Size
from kivfm_core.heads.head import Target


def as_images(number: int, canvas: Size, area: Size) -> ImageList:
    """Canvases as torchvision's detectors take them: sizes alone.

    Args:
        number: How many.
        canvas: Height and width of each, in pixels; boxes are clipped to it.
        area: Height and width that the maps are over.
    """
    return ImageList(torch.empty(number, 3, *area, device="meta"), [canvas] * number)


def as_targets(targets: Sequence[Target], first: int) -> list[dict[str, Tensor]]:
    """Labels as torchvision's losses take them.

    Args:
        targets: With boxes and labels, and with masks if these are learned.
        first: The number of the first class: 1 for a detector that has a background.
    """
    return [
        {
            "boxes": torch.as_tensor(target.get("boxes")).as_subclass(Tensor).float(),
            "labels": torch.as_tensor(target.get("labels")) + first,
            # An augmentation fills what was outside of the canvas with values below 0: no object.
            **({"masks": target["masks"].as_subclass(Tensor) > 0} if "masks" in target else {}),
        }
        for target in targets
    ]
