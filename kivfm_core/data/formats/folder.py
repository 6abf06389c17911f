"""A folder of images for each class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.images import is_image_file as is_image_file
from kivfm_core.task import LabelFormat

FOLDER = LabelFormat(
    name="folder",
    read="kivfm_core.data.formats.folder:read_folder",
    needs="a folder of images for each class, or classes/ with these",
    example="cat/1.jpg, dog/2.jpg",
)

# What only other formats have: their folders of images are no classes.
OTHERS = (
    "data.yaml",
    "701_StillsRaw_full",
    "Annotations",
    "JPEGImages",
    "leftImg8bit",
    "class_dict.csv",
)


def read_folder(path: Path) -> ClassData | None:
    """A folder of class folders, here or under `classes/`; None if this is none."""
    root = path / "classes" if (path / "classes").is_dir() else path
    if not root.is_dir() or any((root / name).exists() for name in OTHERS):
        return None
    notes = ReadingNotes()
    images = {folder.name: _images(folder, notes) for folder in sorted(_folders(root))}
    classes = tuple(name for name, files in images.items() if files)
    if len(classes) < 2:
        return None
    items = [(file, index) for index, name in enumerate(classes) for file in images[name]]
    paths, targets = zip(*items, strict=True)
    return ClassData(paths, targets, classes, notes.lines())


def _images(folder: Path, notes: ReadingNotes) -> list[Path]:
    """The images of a class, in folders inside its own too; other files are counted."""
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not path.is_file() or hidden:
            continue
        if is_image_file(path.name):
            found.append(path)
        else:
            notes.add("files that are no images, passed over", f"{folder.name}/{path.name}")
    return found


def _folders(root: Path) -> Iterable[Path]:
    """Subfolders that can be classes: none that is hidden, or another format's."""
    names = {entry.name for entry in root.iterdir() if entry.is_dir()}
    other = {"images", "semantic", "labels"}
    other |= {name for name in names if f"{name}annot" in names or name.endswith("annot")}
    other |= {name for name in names if name.startswith(".")}
    return (root / name for name in names - other)
