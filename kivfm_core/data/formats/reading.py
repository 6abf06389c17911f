"""Reading label files: UTF-8 text, checked records, and notes of what was repaired. Torch-free."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kivfm_core.errors import DataError, printable


def read_json(path: Path) -> Any:
    """The content of a JSON file, read as UTF-8 with or without a byte-order mark.

    Raises:
        DataError: If it cannot be read, is not UTF-8, is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise DataError(f"{printable(path)} is nested too deeply to be a label file") from error
    except ValueError as error:
        raise DataError(f"{printable(path)} is not JSON: {error}") from error


def read_text(path: Path) -> str:
    """The content of a text file, read as UTF-8 with or without a byte-order mark.

    Raises:
        DataError: If it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{printable(path)} is not UTF-8: byte {error.start}",
            "save it as UTF-8",
        ) from error


_Record = TypeVar("_Record", bound=BaseModel)


def check_record(path: Path, name: str, item: Any, kind: type[_Record]) -> _Record:
    """A record of a label file, checked.

    Args:
        path: The file.
        name: Of the record in this file, such as `annotation 17`.
        item: The record as it was read.
        kind: What it has to be.

    Raises:
        DataError: If it is something else; names the file, the record, the field and the value.
    """
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        value = item.get(field, "missing") if isinstance(item, dict) else item
        reason = first["msg"].removeprefix("Value error, ")
        raise DataError(
            f"{printable(path)}, {name}: {field or 'the record'} is {_short(value)}: {reason}"
        ) from error


def _short(value: Any) -> str:
    text = printable(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


class ReadingNotes:
    """Counts what a reader repaired or passed over, with the first case of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, what: str, record: str) -> None:
        """Counts one case.

        Args:
            what: Its kind, such as `box taken from its mask`.
            record: Where, such as `annotation 17`.
        """
        self.counts[what] += 1
        self.first.setdefault(what, record)

    def join(self, other: ReadingNotes) -> None:
        """Counts the cases of another reader, too; the first is that of the first name."""
        self.counts += other.counts
        for what, record in other.first.items():
            self.first[what] = min(record, self.first.get(what, record))

    def lines(self) -> tuple[str, ...]:
        """A line for each kind: how often, and the first case."""
        return tuple(
            f"{what}: {count} (first: {printable(self.first[what])})"
            for what, count in self.counts.items()
        )
