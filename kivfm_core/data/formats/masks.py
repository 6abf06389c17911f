"""Semantic masks: a PNG of class indices for every picture. Torch-free."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.data.formats.coco import VOID
from kivfm_core.data.label_spaces import match
from kivfm_core.data.labeled_images import list_images, pick, spread
from kivfm_core.errors import DataError


@dataclass(frozen=True)
class MaskData:
    """Pictures with a map of classes each.

    Attributes:
        paths: The pictures.
        masks: The PNG of each: a class index a pixel; what is no index of `classes` is void.
        classes: The classes' names.
    """

    paths: tuple[Path, ...]
    masks: tuple[Path, ...]
    classes: tuple[str, ...]

    def take(self, limit: int | None) -> Self:
        """At most `limit` pictures, evenly spread."""
        keep = spread(len(self.paths), limit)
        return replace(self, paths=pick(self.paths, keep), masks=pick(self.masks, keep))

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        """A picture's map `[H, W]` of indices into a label space.

        Classes that the space does not know are background if it has one, and do not count
        if not.
        """
        (background,) = match(["background"], space)
        other = VOID if background is None else background
        table = np.full(256, VOID, np.int64)
        for value, label in enumerate(match(self.classes, space)):
            table[value] = other if label is None else label
        with Image.open(self.masks[index]) as file:
            return table[np.asarray(file)]


def read_masks(path: Path) -> MaskData | None:
    """`semantic/NAME.png` beside `images/`, or `valannot/` beside `val/`; None if neither.

    Raises:
        DataError: If the classes are not named, or no picture has a mask.
    """
    layouts = [(path / "images", path / "semantic"), (path, path.with_name(f"{path.name}annot"))]
    found = [(images, masks) for images, masks in layouts if images.is_dir() and masks.is_dir()]
    if not found:
        return None
    images, masks = found[0]
    names = [folder / "classes.json" for folder in (masks, masks.parent)]
    file = next((name for name in names if name.is_file()), None)
    if file is None:
        raise DataError(
            f"{masks} does not name its classes",
            f'write {names[0]}: ["background", "first class", ...]',
        )
    pairs = [(x, masks / f"{x.stem}.png") for x in list_images(images)]
    pairs = [(x, mask) for x, mask in pairs if mask.is_file()]
    if not pairs:
        raise DataError(f"no picture of {images} has a mask of its name in {masks}")
    classes = tuple(str(name) for name in json.loads(file.read_text()))
    return MaskData(tuple(x for x, _ in pairs), tuple(mask for _, mask in pairs), classes)
