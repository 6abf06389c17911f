"""Pictures with one class each: a folder a class, or a `labels.json` beside the pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from kivfm_core.data.labeled_images import list_images, pick, spread
from kivfm_core.errors import DataError


@dataclass(frozen=True)
class ClassData:
    """Pictures with one class each.

    Attributes:
        paths: The pictures.
        targets: Index of each picture's class in `classes`, or in the model's own label space.
        classes: The classes' names; None if the data only has indices.
    """

    paths: tuple[Path, ...]
    targets: tuple[int, ...]
    classes: tuple[str, ...] | None

    def take(self, limit: int | None) -> Self:
        """At most `limit` pictures, evenly spread."""
        keep = spread(len(self.paths), limit)
        return type(self)(pick(self.paths, keep), pick(self.targets, keep), self.classes)


def read_folder(path: Path) -> ClassData | None:
    """A folder of class folders, here or under `classes/`; None if this is none."""
    root = path / "classes" if (path / "classes").is_dir() else path
    if not root.is_dir():
        return None
    pictures = {folder.name: list_images(folder) for folder in sorted(_folders(root))}
    classes = tuple(name for name, files in pictures.items() if files)
    if len(classes) < 2:
        return None
    items = [(file, index) for index, name in enumerate(classes) for file in pictures[name]]
    return ClassData(tuple(file for file, _ in items), tuple(index for _, index in items), classes)


def _folders(root: Path) -> Iterable[Path]:
    """Subfolders that can be classes: not other formats' `images/`, `val/` and `valannot/`."""
    names = {entry.name for entry in root.iterdir() if entry.is_dir()}
    other = {"images", "semantic"}
    other |= {name for name in names if f"{name}annot" in names or name.endswith("annot")}
    return (root / name for name in names - other)


def read_labels(path: Path) -> ClassData | None:
    """A `labels.json`, `{file name: class index or name}`, beside its pictures; None if none.

    Raises:
        DataError: If it holds anything else.
    """
    file = path / "labels.json" if path.is_dir() else path
    if file.suffix != ".json" or not file.is_file():
        return None
    content: Any = json.loads(file.read_text())
    values: dict[str, Any] = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    kinds = {type(value) for value in values.values()}
    if kinds not in ({int}, {str}):
        if path.is_dir():
            raise DataError(
                f"{file} is not a map of file names to classes",
                'write {"a.jpg": "cat", "b.jpg": "dog"}, or class indices',
            )
        return None
    paths = tuple(file.parent / name for name in values)
    if kinds == {int}:
        return ClassData(paths, tuple(values.values()), None)
    classes = tuple(sorted(set(values.values())))
    return ClassData(paths, tuple(classes.index(name) for name in values.values()), classes)
