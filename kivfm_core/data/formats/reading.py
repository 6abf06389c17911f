"""Reading label files: UTF-8 JSON, and what was repaired or passed over on the way. Torch-free."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from kivfm_core.errors import DataError, printable


def read_json(path: Path) -> Any:
    """The content of a JSON file, read as UTF-8 with or without a byte-order mark.

    Raises:
        DataError: If it cannot be read, is not UTF-8, is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{printable(path)} is not UTF-8: byte {error.start}",
            "save it as UTF-8",
        ) from error
    except RecursionError as error:
        raise DataError(f"{printable(path)} is nested too deeply to be a label file") from error
    except ValueError as error:
        raise DataError(f"{printable(path)} is not JSON: {error}") from error


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

    def lines(self) -> tuple[str, ...]:
        """A line for each kind: how often, and the first case."""
        return tuple(
            f"{what}: {count} (first: {printable(self.first[what])})"
            for what, count in self.counts.items()
        )
