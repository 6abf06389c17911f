"""Semantic masks: a PNG of class indices for every image. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kivfm_core.data.formats.class_maps import check_map, read_map
from kivfm_core.data.formats.coco import VOID
from kivfm_core.data.formats.mask_layouts import find_layout
from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.label_spaces import match
from kivfm_core.data.labeled_images import pick
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabeledImages, LabelFormat

MASKS = LabelFormat(
    name="masks",
    read="kivfm_core.data.formats.masks:read_masks",
    needs="semantic/*.png and semantic/classes.json beside images/",
    example="images/a.jpg, semantic/a.png, semantic/classes.json",
)


@dataclass(frozen=True)
class MaskData(LabeledImages):
    """Images with a map of classes each.

    Attributes:
        paths: The images.
        masks: The PNG of each: a class's value a pixel; what is no class's value is void.
        classes: The classes' names.
        values: The value of each class in the masks; its place in `classes` if not given.
        notes: What was passed over when the data was read, a line each.
        colors: Whether the values are colors, as `class_maps.read_map` counts them.
    """

    paths: tuple[Path, ...]
    masks: tuple[Path, ...]
    classes: tuple[str, ...]
    values: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    colors: bool = False

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their maps."""
        return replace(self, paths=pick(self.paths, indices), masks=pick(self.masks, indices))

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        """An image's map `[H, W]` of indices into a label space.

        Classes that the space does not know are background if it has one, and do not count
        if not.
        """
        (background,) = match(["background"], space)
        other = VOID if background is None else background
        labels = [other if label is None else label for label in match(self.classes, space)]
        known = np.array(self.values or range(len(self.classes)))
        order = np.argsort(known)
        found = read_map(self.masks[index], colors=self.colors)
        place = np.searchsorted(known[order], found).clip(max=len(known) - 1)
        return np.where(known[order][place] == found, np.array(labels)[order][place], VOID)


def read_masks(path: Path) -> MaskData | None:
    """A layout of `mask_layouts.py`, such as `semantic/NAME.png` beside `images/`; None if none.

    Raises:
        DataError: If the classes are not named, or no image has a mask.
    """
    layout = find_layout(path)
    if layout is None:
        return None
    coding = layout.coding()
    notes = ReadingNotes()
    pairs: list[tuple[Path, Path]] = []
    for image in layout.list_images():
        mask = layout.mask_of(image)
        if mask.is_file():
            check_map(image, mask, colors=coding.colors)
            pairs.append((image, mask))
        else:
            notes.add("images without a mask, passed over", image.name)
    if not pairs:
        raise DataError(
            f"no image of {printable(layout.images)} has a mask of its name in"
            f" {printable(layout.masks)}"
        )
    images, masks = zip(*pairs, strict=True)
    return MaskData(
        images, masks, coding.classes, coding.values, notes.lines(), colors=coding.colors
    )
