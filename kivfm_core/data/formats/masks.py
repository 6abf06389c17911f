"""Semantic masks: a PNG of class indices for every image. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.data.formats.coco import VOID
from kivfm_core.data.formats.reading import ReadingNotes, read_json
from kivfm_core.data.images import upright_size
from kivfm_core.data.label_spaces import match
from kivfm_core.data.labeled_images import list_images, pick
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabeledImages, LabelFormat

MASKS = LabelFormat(
    name="masks",
    read="kivfm_core.data.formats.masks:read_masks",
    needs="semantic/*.png and semantic/classes.json beside images/",
    example="images/a.jpg, semantic/a.png, semantic/classes.json",
)

# Pillow's modes of one channel: bits, bytes, a palette, 16 bits.
MODES = ("1", "L", "P", "I;16", "I")
VALUES = range(2**16)


@dataclass(frozen=True)
class MaskData(LabeledImages):
    """Images with a map of classes each.

    Attributes:
        paths: The images.
        masks: The PNG of each: a class's value a pixel; what is no class's value is void.
        classes: The classes' names.
        values: The value of each class in the masks; its place in `classes` if not given.
        notes: What was passed over when the data was read, a line each.
    """

    paths: tuple[Path, ...]
    masks: tuple[Path, ...]
    classes: tuple[str, ...]
    values: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()

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
        table = np.full(2**16, VOID, np.int64)
        values = self.values or range(len(self.classes))
        for value, label in zip(values, match(self.classes, space), strict=True):
            table[value] = other if label is None else label
        with Image.open(self.masks[index]) as file:
            return table[np.asarray(file).astype(np.uint16)]


def read_masks(path: Path) -> MaskData | None:
    """`semantic/NAME.png` beside `images/`, or `valannot/` beside `val/`; None if neither.

    Raises:
        DataError: If the classes are not named, or no image has a mask.
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
    notes = ReadingNotes()
    pairs: list[tuple[Path, Path]] = []
    for image in list_images(images):
        mask = masks / f"{image.stem}.png"
        if mask.is_file():
            _check_mask(image, mask)
            pairs.append((image, mask))
        else:
            notes.add("images without a mask, passed over", image.name)
    if not pairs:
        raise DataError(f"no image of {images} has a mask of its name in {masks}")
    values, classes = _read_classes(file)
    return MaskData(
        tuple(x for x, _ in pairs), tuple(mask for _, mask in pairs), classes, values, notes.lines()
    )


def _check_mask(image: Path, mask: Path) -> None:
    """Refuses a mask that is no map of class values, or not of its image's size."""
    try:
        with Image.open(mask) as file:
            mode, size = file.mode, file.size
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise DataError(f"cannot open the mask {printable(mask)}: {error}") from error
    if mode not in MODES:
        raise DataError(
            f"{printable(mask)} has colors ({mode}) in place of class values",
            "save masks with one channel: mode L or P",
        )
    try:
        shown = upright_size(image)
    except DataError:
        return  # it is counted when it cannot be decoded
    if shown != size:
        raise DataError(
            f"{printable(image)} is {shown[0]} x {shown[1]} pixels (upright, as viewers show it),"
            f" its mask {size[0]} x {size[1]}",
            "make both of one size",
        )


def _read_classes(file: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The values and names of `classes.json`: a list of names, or `{name: value}`."""
    content = read_json(file)
    if isinstance(content, dict):
        named = cast("dict[str, Any]", content)
        # {"0": "road"} says the same the other way round.
        if all(key.isdigit() and isinstance(name, str) for key, name in named.items()):
            named = {name: int(key) for key, name in named.items()}
    elif isinstance(content, list):
        named = {str(name): value for value, name in enumerate(cast("list[Any]", content))}
        if len(named) < len(cast("list[Any]", content)):
            raise DataError(f"{printable(file)} names a class twice", "make the names unique")
    else:
        named = {}
    wrong = [name for name, value in named.items() if type(value) is not int or value not in VALUES]
    if not named or wrong:
        raise DataError(
            f"{printable(file)} is no list of class names, nor a map of names to values in 0..65535"
            + (f": {printable(wrong[0])} is {named[wrong[0]]!r}" if wrong else ""),
            'write ["background", "first class", ...] or {"background": 0, "first class": 7}',
        )
    return tuple(named.values()), tuple(named)
