"""A `labels.json` beside the images: the class of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.errors import DataError
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
