"""A table of files and classes, a row an image: CSV, or JSON lines. Torch-free."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.image_files import find_image_files
from kivfm_core.data.formats.reading import ReadingNotes, check_record, read_text
from kivfm_core.data.images import is_image_file
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

CSV = LabelFormat(
    name="csv",
    read="kivfm_core.data.formats.rows:read_csv",
    needs="labels.csv with the columns file and class, beside the images",
    example="labels.csv: file,class and a.jpg,cat below",
)
JSONL = LabelFormat(
    name="jsonl",
    read="kivfm_core.data.formats.rows:read_jsonl",
    needs='labels.jsonl with {"file": ..., "class": ...} in each line, beside the images',
    example='labels.jsonl: {"file": "a.jpg", "class": "cat"}',
)

# What the columns are called, in lower case. Hugging Face's metadata files have `file_name`.
FILE = ("file", "file_name", "filename", "image", "path", "file_path", "image_path", "filepath")
CLASS = ("class", "label", "category", "class_name", "label_name")
INDEX = ("class_index", "label_index", "class_id", "target", "index")

# Of the files in a folder, without their endings; and the endings of any file.
NAMES = ("labels", "metadata")
SUFFIXES = {"csv": (".csv", ".tsv"), "jsonl": (".jsonl", ".ndjson")}


class Row(BaseModel):
    """The class of an image: its name, or its index in the model's own label space."""

    model_config = ConfigDict(frozen=True, strict=True)

    file: str = Field(min_length=1)
    label: str | int = Field(union_mode="left_to_right")


@dataclass(frozen=True)
class _Columns:
    """Which columns hold file and class, and whether the class is an index."""

    file: Any
    label: Any
    indices: bool


def read_csv(path: Path) -> ClassData | None:
    """`labels.csv` or `metadata.csv` in a folder, or a table with another name; None if neither.

    Raises:
        DataError: If it is broken, or has no column of files or classes.
    """
    file = find_table(path, "csv", NAMES)
    return None if file is None else _read(file, path, csv_rows(file))


def read_jsonl(path: Path) -> ClassData | None:
    """`labels.jsonl` or `metadata.jsonl` in a folder, or one with another name; None if neither.

    Raises:
        DataError: If it is broken, or has no field for files or classes.
    """
    file = find_table(path, "jsonl", NAMES)
    return None if file is None else _read(file, path, json_rows(file))


def find_table(path: Path, kind: Literal["csv", "jsonl"], names: Sequence[str]) -> Path | None:
    """A file that is a table of a kind, or the first of some names in a folder; None if neither."""
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES[kind] else None
    files = (path / f"{name}.{kind}" for name in names)
    return next((file for file in files if file.is_file()), None)


def csv_rows(file: Path) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Line numbers and rows, by column; without a head these are file, class, 2, 3, ...

    Raises:
        DataError: If a line is broken, or too short; names the line.
    """
    text = read_text(file)
    head = text.partition("\n")[0]
    reader = csv.reader(
        StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True
    )
    columns: list[Any] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = [cell.strip().lower() for cell in row]
                if not is_image_file(row[0]):
                    continue
                columns = [FILE[0], CLASS[0], *range(2, len(row))]
            if len(row) < len(columns):
                raise DataError(
                    f"{printable(file)}, line {reader.line_num} has {len(row)} cells,"
                    f" and there are {len(columns)} columns"
                )
            yield reader.line_num, dict(zip(columns, row, strict=False))
    except csv.Error as error:
        raise DataError(f"{printable(file)}, line {reader.line_num}: {error}") from error


def json_rows(file: Path) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Line numbers and rows.

    Raises:
        DataError: If a line is no object; names the line.
    """
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{printable(file)}, line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{printable(file)}, line {number} is no object: {{...}}")
        yield number, {str(key).lower(): value for key, value in row.items()}


def _read(file: Path, path: Path, rows: Iterator[tuple[int, dict[Any, Any]]]) -> ClassData | None:
    notes = ReadingNotes()
    columns: _Columns | None = None
    labels: dict[str, str | int] = {}
    for number, row in rows:
        columns = columns or _columns(row)
        if columns is None:
            if file.stem == "captions" or (path != file and file.stem == "metadata"):
                return None  # it says other things of the images, such as captions
            raise DataError(
                f"{printable(file)} names no files and classes: its columns are"
                f" {', '.join(printable(str(key)) for key in row)}",
                "call them file and class, or class_index",
            )
        where = f"line {number}"
        item = check_record(file, where, _item(row, columns), Row)
        if labels.setdefault(item.file, item.label) != item.label:
            raise DataError(
                f"{printable(file)}, {where}: {printable(item.file)} has two classes",
                "give each image one",
            )
    kinds = {type(label) for label in labels.values()}
    if len(kinds) != 1:
        problem = "has names and indices as classes" if kinds else "has no rows"
        raise DataError(f"{printable(file)} {problem}", "give names alone, or indices alone")
    paths = tuple(find_image_files(file, list(labels), notes))
    if kinds == {int}:
        targets = tuple(int(label) for label in labels.values())
        return ClassData(paths, targets, None, notes.lines())
    classes = tuple(sorted({str(label) for label in labels.values()}))
    places = {name: place for place, name in enumerate(classes)}
    targets = tuple(places[str(label)] for label in labels.values())
    return ClassData(paths, targets, classes, notes.lines())


def _columns(row: dict[Any, Any]) -> _Columns | None:
    file = next((key for key in FILE if key in row), None)
    name = next((key for key in CLASS if key in row), None)
    index = next((key for key in INDEX if key in row), None)
    if file is None or (name is None and index is None):
        return None
    return _Columns(file, name or index, indices=name is None)


def _item(row: dict[Any, Any], columns: _Columns) -> dict[str, Any]:
    """File and class of a row; a cell of a table of indices is a number."""
    file, label = row.get(columns.file), row.get(columns.label)
    label = label.strip() if isinstance(label, str) else label
    if columns.indices and isinstance(label, str) and label.isdecimal():
        label = int(label)
    found = {"file": file, "label": label}
    return {key: value for key, value in found.items() if value not in (None, "")}
