"""A folder of images for each class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.labeled_images import list_images
from kivfm_core.task import LabelFormat

FOLDER = LabelFormat(
    name="folder",
    read="kivfm_core.data.formats.folder:read_folder",
    needs="a folder of images for each class, or classes/ with these",
    example="cat/1.jpg, dog/2.jpg",
)


def read_folder(path: Path) -> ClassData | None:
    """A folder of class folders, here or under `classes/`; None if this is none."""
    root = path / "classes" if (path / "classes").is_dir() else path
    if not root.is_dir():
        return None
    images = {folder.name: list_images(folder) for folder in sorted(_folders(root))}
    classes = tuple(name for name, files in images.items() if files)
    if len(classes) < 2:
        return None
    items = [(file, index) for index, name in enumerate(classes) for file in images[name]]
    return ClassData(tuple(file for file, _ in items), tuple(index for _, index in items), classes)


def _folders(root: Path) -> Iterable[Path]:
    """Subfolders that can be classes: not other formats' `images/`, `val/` and `valannot/`."""
    names = {entry.name for entry in root.iterdir() if entry.is_dir()}
    other = {"images", "semantic"}
    other |= {name for name in names if f"{name}annot" in names or name.endswith("annot")}
    return (root / name for name in names - other)
