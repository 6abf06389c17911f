"""Scenes as COCO instances and COCO captions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kivfm_core.scenes.render import Scene
from kivfm_core.scenes.vocabulary import CATEGORIES


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Encode a mask [H, W] as COCO's uncompressed run lengths, column by column.

    Example:
        >>> encode_mask(np.array([[False, True], [True, True]]))
        {'size': [2, 2], 'counts': [1, 3]}
    """
    pixels = np.concatenate(([False], mask.ravel(order="F")))
    starts = np.flatnonzero(pixels[1:] != pixels[:-1])
    runs = np.diff(np.concatenate(([0], starts, [mask.size])))
    return {"size": list(mask.shape), "counts": runs.tolist()}


class CocoWriter:
    """Collects scenes into the contents of `instances.json` and `captions.json`."""

    def __init__(self) -> None:
        """Start without any image."""
        self._images: list[dict[str, Any]] = []
        self._instances: list[dict[str, Any]] = []
        self._captions: list[dict[str, Any]] = []

    def add(self, file_name: str, scene: Scene) -> None:
        """Add one scene."""
        height, width, _ = scene.image.shape
        image = len(self._images) + 1
        self._images.append({"id": image, "file_name": file_name, "width": width, "height": height})
        self._captions.append({"id": image, "image_id": image, "caption": scene.caption})
        for item in scene.objects:
            x0, y0, x1, y1 = item.box
            self._instances.append(
                {
                    "id": len(self._instances) + 1,
                    "image_id": image,
                    "category_id": CATEGORIES.index(item.category) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": int(item.mask.sum()),
                    "iscrowd": 0,
                    "segmentation": encode_mask(item.mask),
                }
            )

    def instances(self) -> dict[str, Any]:
        """Give the contents of `instances.json`."""
        categories = [{"id": i, "name": name} for i, name in enumerate(CATEGORIES, 1)]
        return {"images": self._images, "annotations": self._instances, "categories": categories}

    def captions(self) -> dict[str, Any]:
        """Give the contents of `captions.json`."""
        return {"images": self._images, "annotations": self._captions}
