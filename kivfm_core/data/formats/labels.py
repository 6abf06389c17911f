"""A `labels.json` beside the images: the class of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.image_files import find_image_files
from kivfm_core.data.formats.reading import ReadingNotes, read_json
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

LABELS = LabelFormat(
    name="labels",
    read="kivfm_core.data.formats.labels:read_labels",
    needs="labels.json ({file name: class}) beside the images",
    example='labels.json: {"a.jpg": "cat", "b.jpg": "dog"}',
)


def read_labels(path: Path) -> ClassData | None:
    """A `labels.json`, `{file name: class index or name}`, beside its images; None if none.

    Raises:
        DataError: If it holds anything else.
    """
    file = path / "labels.json" if path.is_dir() else path
    if file.suffix != ".json" or not file.is_file():
        return None
    content = read_json(file)
    values = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    kinds = {type(value) for value in values.values()}
    if kinds not in ({int}, {str}):
        if path.is_dir():
            raise DataError(
                f"{printable(file)} is not a map of file names to classes, all names or all whole"
                f" numbers{_first_wrong(values)}",
                'write {"a.jpg": "cat", "b.jpg": "dog"}, or class indices',
            )
        return None
    notes = ReadingNotes()
    paths = tuple(find_image_files(file, list(values), notes))
    if kinds == {int}:
        return ClassData(paths, tuple(values.values()), None, notes.lines())
    classes = tuple(sorted(set(values.values())))
    places = {name: place for place, name in enumerate(classes)}
    targets = tuple(places[name] for name in values.values())
    return ClassData(paths, targets, classes, notes.lines())


def _first_wrong(values: dict[str, Any]) -> str:
    usual = str if any(isinstance(value, str) for value in values.values()) else int
    wrong = [name for name, value in values.items() if type(value) is not usual]
    return f": {printable(wrong[0])} is {values[wrong[0]]!r}" if wrong else ""
