"""The folders in which images and maps of classes lie, and what names the classes. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.data.formats.class_codes import (
    CITYSCAPES,
    Coding,
    read_classes,
    read_color_list,
    read_object_info,
)
from kivfm_core.data.images import is_image_file
from kivfm_core.errors import DataError, printable

# Of the parts of a data set, the one that is read if its root is given.
PARTS = ("val", "validation", "test", "train", "training")
# Files that name classes, in the folder of the masks or beside it.
NAMES = {
    "classes.json": read_classes,
    "id2label.json": read_classes,
    "label_colors.txt": read_color_list,
    "class_dict.csv": read_color_list,
}


@dataclass(frozen=True)
class MaskLayout:
    """Where images and masks lie.

    Attributes:
        images: The folder of the images; those in folders inside count too.
        masks: The folder of the masks.
        coding: What reads the names and values of the classes.
        ends: How the stem of an image ends, and that of its mask instead; any of these.
    """

    images: Path
    masks: Path
    coding: Callable[[], Coding]
    ends: tuple[tuple[str, str], ...] = (("", ""),)

    def list_images(self) -> Iterator[Path]:
        """The images, by their paths."""
        return (path for path in sorted(self.images.rglob("*")) if is_image_file(path.name))

    def mask_of(self, image: Path) -> Path:
        """Where an image's mask is, or where it should be."""
        stem = image.relative_to(self.images).with_suffix("").as_posix()
        found = [
            self.masks / f"{stem.removesuffix(old)}{new}.png"
            for old, new in self.ends
            if stem.endswith(old)
        ]
        return next((path for path in found if path.is_file()), (found or [self.masks / stem])[0])


def find_layout(path: Path) -> MaskLayout | None:
    """The layout of a folder; None if it has none of those that are known."""
    if not path.is_dir():
        return None
    for find in (_plain, _cityscapes, _ade, _camvid):
        layout = find(path)
        if layout is not None:
            return layout
    return None


def _plain(path: Path) -> MaskLayout | None:
    """`images/` and `semantic/`, or `val/` with `valannot/` or `val_labels/` beside it."""
    whole = _whole(path)
    pairs = [(path / "images", path / "semantic"), (path, whole.parent / f"{whole.name}annot")]
    if (whole.parent / "class_dict.csv").is_file():  # `_labels` alone could mean anything
        pairs.append((path, whole.parent / f"{whole.name}_labels"))
    for images, masks in pairs:
        if images.is_dir() and masks.is_dir():
            return MaskLayout(
                images, masks, lambda m=masks: named_classes(m), (("", ""), ("", "_L"))
            )
    return None


def _cityscapes(path: Path) -> MaskLayout | None:
    """`leftImg8bit/val/CITY/` with `gtFine/val/CITY/`; the path is the root or a part's images."""
    ends = (("_leftImg8bit", "_gtFine_labelIds"),)
    pair = _parts(path, "leftImg8bit", "gtFine")
    return MaskLayout(*pair, lambda: CITYSCAPES, ends) if pair else None


def _ade(path: Path) -> MaskLayout | None:
    """`images/validation/` with `annotations/validation/`, and `objectInfo150.txt` beside both."""
    pair = _parts(path, "images", "annotations")
    file = pair[0].parent.parent / "objectInfo150.txt" if pair else None
    if pair is None or file is None or not file.is_file():
        return None
    return MaskLayout(*pair, lambda: read_object_info(file))


def _camvid(path: Path) -> MaskLayout | None:
    """CamVid as it was published: stills and colored maps, and `label_colors.txt`."""
    images, masks = path / "701_StillsRaw_full", path / "LabeledApproved_full"
    if not (images.is_dir() and masks.is_dir()):
        return None
    return MaskLayout(images, masks, lambda: named_classes(masks), (("", "_L"), ("", "")))


def _parts(path: Path, images: str, masks: str) -> tuple[Path, Path] | None:
    """The folders of a part, given the root of a data set, or the part's folder of images."""
    pairs = [(path / images / part, path / masks / part) for part in PARTS]
    whole = _whole(path)
    if whole.parent.name == images:
        pairs.append((path, whole.parent.parent / masks / whole.name))
    return next((pair for pair in pairs if pair[0].is_dir() and pair[1].is_dir()), None)


def _whole(path: Path) -> Path:
    """A path with its name and its parents: `.` has none."""
    return Path(os.path.abspath(path))


def named_classes(masks: Path) -> Coding:
    """The classes as a file in the folder of the masks, or beside it, names them.

    Raises:
        DataError: If there is none, or it is broken.
    """
    for folder in (masks, masks.parent):
        for name, read in NAMES.items():
            if (folder / name).is_file():
                return read(folder / name)
    raise DataError(
        f"{printable(masks)} does not name its classes",
        f'write {masks / "classes.json"}: ["background", "first class", ...]',
    )
