"""Hugging Face datasets that `save_to_disk` wrote: a class, or objects, for each image.

Their JSON and Arrow files are read, and nothing in them is run: no script, no pickle. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kivfm_core.data.arrow_rows import read_columns
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.coco import CocoData
from kivfm_core.data.formats.coco_records import CocoAnnotation
from kivfm_core.data.formats.reading import ReadingNotes, check_record, read_json
from kivfm_core.data.members import size_at
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

HF_CLASSES = LabelFormat(
    name="hf-classes",
    read="kivfm_core.data.formats.hugging_face:read_hf_classes",
    needs="a folder of datasets' save_to_disk with the columns image and label (ClassLabel)",
    example="dataset_info.json, state.json, data-00000-of-00001.arrow",
)
HF_OBJECTS = LabelFormat(
    name="hf-objects",
    read="kivfm_core.data.formats.hugging_face:read_hf_objects",
    needs="a folder of datasets' save_to_disk with the columns image and objects (bbox, category)",
    example="dataset_info.json, state.json, data-00000-of-00001.arrow",
)
INFO, STATE, SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"


@dataclass(frozen=True)
class _Saved:
    """A saved split: its Arrow files, and what its columns are."""

    info: Path
    files: tuple[Path, ...]
    features: dict[str, Any]

    def of_kind(self, kind: str, first: str) -> str | None:
        """The column of a kind: the one of this name, or else the first."""
        names = [n for n, f in self.features.items() if isinstance(f, dict) and _kind(f) == kind]
        return first if first in names else next(iter(names), None)

    def rows(self, column: str, image: str) -> Iterator[tuple[Path, str, Any]]:
        """Each row's image, its name for messages, and its value in a column."""
        for file in self.files:
            values = read_columns(file, [column, image]).column(column)
            for row, value in enumerate(values):
                where = f"{file.name}, row {row + 1}"
                yield file / image / f"{row:08d}", where, value.as_py()


def _kind(feature: dict[str, Any]) -> str:
    return str(feature.get("_type", ""))


def _open(path: Path) -> _Saved | None:
    """A folder that `save_to_disk` wrote; None if it is none.

    Raises:
        DataError: If it is broken, leads out of itself, or holds several splits.
    """
    if (path / SPLITS).is_file():
        content = read_json(path / SPLITS)
        splits: Any = content.get("splits") if isinstance(content, dict) else None
        plain = [s for s in cast("list[Any]", splits or []) if isinstance(s, str) and _plain(s)]
        if len(plain) != 1:
            names = ", ".join(map(printable, plain))
            hint = f"name one of them: {printable(path / plain[0])}" if plain else ""
            raise DataError(f"{printable(path)} has several splits: {names}", hint)
        path = path / plain[0]
    if not (path / STATE).is_file() or not (path / INFO).is_file():
        return None
    state, info = read_json(path / STATE), read_json(path / INFO)
    listed: Any = state.get("_data_files") if isinstance(state, dict) else None
    features: Any = info.get("features") if isinstance(info, dict) else None
    if not isinstance(listed, list) or not isinstance(features, dict):
        raise DataError(
            f"{printable(path)}: {STATE} names no files, or {INFO} no features",
            "save it anew with save_to_disk",
        )
    files: list[Path] = []
    for item in cast("list[Any]", listed):
        name: Any = item.get("filename") if isinstance(item, dict) else None
        file = path / str(name)
        if not isinstance(name, str) or not _plain(name) or file.is_symlink():
            raise DataError(
                f"{printable(path / STATE)}: {printable(repr(name)[:60])} is no file of this folder"
            )
        files.append(file)
    return _Saved(path / INFO, tuple(files), cast("dict[str, Any]", features))


def _plain(name: str) -> bool:
    """Whether a name stays in its folder."""
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\:\0")


def _names(feature: Any, info: Path) -> tuple[str, ...] | None:
    """The classes of a `ClassLabel`; None if it is none."""
    names: Any = feature.get("names") if isinstance(feature, dict) else None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{printable(info)}: the names of a ClassLabel are no list of names")
    return tuple(cast("list[str]", names))


def read_hf_classes(path: Path) -> ClassData | None:
    """A saved dataset with an image and a class in each row; None if this is none.

    Raises:
        DataError: If it is broken; names file, row and value.
    """
    saved = _open(path)
    if saved is None:
        return None
    image, label = saved.of_kind("Image", "image"), saved.of_kind("ClassLabel", "label")
    if image is None or label is None:
        return None
    names, notes = _names(saved.features[label], saved.info) or (), ReadingNotes()
    found: list[tuple[Path, int]] = []
    for place, where, value in saved.rows(label, image):
        if value is None or value == -1:  # as test splits have it
            notes.add("images without a class, passed over", where)
        elif type(value) is not int or not 0 <= value < len(names):
            raise DataError(
                f"{printable(saved.info.parent)}, {where}: {printable(label)} is"
                f" {printable(repr(value)[:60])}, and there are {len(names)} classes"
            )
        else:
            found.append((place, value))
    if not found:
        raise DataError(f"{printable(saved.info.parent)} has no image with a class")
    paths, targets = zip(*found, strict=True)
    return ClassData(paths, targets, names, notes.lines())


def read_hf_objects(path: Path) -> CocoData | None:
    """A saved dataset with an image and its objects in each row; None if this is none.

    Raises:
        DataError: If it is broken; names file, row and value.
    """
    saved = _open(path)
    feature: Any = saved.features.get("objects") if saved else None
    image = saved.of_kind("Image", "image") if saved else None
    if saved is None or image is None or not isinstance(feature, dict):
        return None
    inner = cast("dict[str, Any]", feature.get("feature", feature))
    category: Any = inner.get("category", inner.get("label"))
    while isinstance(category, dict) and "feature" in category:
        category = category["feature"]
    names, notes = _names(category, saved.info), ReadingNotes()
    if names is None:
        raise DataError(f"{printable(saved.info)}: the categories of objects have no names")
    paths: list[Path] = []
    images: list[dict[str, Any]] = []
    objects: list[list[dict[str, Any]]] = []
    for place, where, value in saved.rows("objects", image):
        own = [
            _object(saved.info.parent, f"{where}, object {number}", item, len(names))
            for number, item in enumerate(_items(value), 1)
        ]
        try:
            width, height = size_at(place)
        except DataError:
            notes.add("images that cannot be opened, passed over", where)
            continue
        paths.append(place)
        number = len(paths)
        images.append({"id": number, "file_name": place.name, "height": height, "width": width})
        objects.append(own)
    categories = tuple({"id": id, "name": name} for id, name in enumerate(names, 1))
    return CocoData(tuple(paths), tuple(images), tuple(objects), categories, notes.lines())


def _items(value: Any) -> list[Any]:
    """Objects as records, from a list of them or from a record of lists."""
    if isinstance(value, dict):
        boxes, classes = value.get("bbox") or [], value.get("category", value.get("label")) or []
        if len(boxes) != len(classes):
            return [None]
        return [{"bbox": b, "category": c} for b, c in zip(boxes, classes, strict=True)]
    return list(value or [])


def _object(folder: Path, where: str, item: Any, classes: int) -> dict[str, Any]:
    """An object in COCO's form."""
    given = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    category = given.get("category", given.get("label"))
    box: Any = given.get("bbox")
    record = {"image_id": 0, "category_id": category, "bbox": box if box else "missing"}
    checked = check_record(folder, where, record, CocoAnnotation)
    if not isinstance(category, int) or not 0 <= category < classes or checked.bbox is None:
        raise DataError(
            f"{printable(folder)}, {where}: category is {printable(repr(category)[:60])}, and there"
            f" are {classes} classes"
        )
    box = list(checked.bbox)
    return {"category_id": category + 1, "bbox": box, "segmentation": None, "iscrowd": 0}
