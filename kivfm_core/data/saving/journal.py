"""The journal of a save: which images are done, and what is known of each. Torch-free."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kivfm_core.errors import UsageError, printable

# Its name in the folder; hidden, since it is no part of the labels.
NAME = ".labels.jsonl"


def part_name(rank: int) -> str:
    """The name of the journal of a later process, until the first process takes it over."""
    return f".labels-{rank}.jsonl"


def list_parts(folder: Path) -> list[str]:
    """The names of journals of killed processes, which were not taken over."""
    return sorted(path.name for path in folder.glob(part_name(0).replace("0", "*")))


class Journal:
    """JSON lines: first what is saved and how, then a line for each image.

    A line that a killed process left half-written is cut off. Lines are read when they are needed
    and never held.

    Args:
        folder: Of the save.
        head: What has to be the same for a save to go on, ready for JSON.
        marks: Names that a folder without a journal must not have: labels of someone else's.
        name: Of the file.

    Raises:
        UsageError: If the folder has other labels, or the head of its journal is another.
    """

    def __init__(
        self, folder: Path, head: Mapping[str, Any], marks: Sequence[str], name: str = NAME
    ) -> None:
        self.path, self.head = folder / name, head
        there = [name for name in marks if (folder / name).exists()]
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        fresh = not self.path.exists()
        if fresh and there:
            raise UsageError(
                f"{printable(folder / there[0])} is there already", "give a folder without labels"
            )
        self.file = os.fdopen(os.open(self.path, flags, 0o666), "r+b")
        self._cut()
        first = self.file.readline()
        head = json.loads(json.dumps(head))
        if not first:
            self._append(head)
        elif (found := _parsed(first)) != head:
            self.file.close()
            changed = [key for key in head if found.get(key) != head[key]] or sorted(found)
            raise UsageError(
                f"{printable(folder)} has labels that were saved otherwise:"
                f" {', '.join(changed)} changed",
                "give another folder",
            )

    def _cut(self) -> None:
        """Cuts off what follows the last whole line."""
        end = 0
        self.file.seek(0)
        for line in self.file:
            end += len(line) if line.endswith(b"\n") else 0
        self.file.truncate(end)
        self.file.seek(0)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds a line for an image, out of the process at once."""
        self._append(entry)

    def _append(self, entry: Mapping[str, Any]) -> None:
        self.file.seek(0, os.SEEK_END)
        self.file.write(json.dumps(entry).encode() + b"\n")
        self.file.flush()

    def entries(self) -> Iterator[dict[str, Any]]:
        """The lines of the images, by their names: whichever process added them, and when."""
        with self.path.open("rb") as file:
            where = len(file.readline())
            places: list[tuple[str, int]] = []
            for line in file:
                places.append((str(_parsed(line).get("file")), where))
                where += len(line)
            for _, where in sorted(places):
                file.seek(where)
                yield _parsed(file.readline())

    def take_over(self, names: Sequence[str]) -> None:
        """Adds the lines of other journals in the folder, and removes these journals.

        Raises:
            UsageError: If one belongs to another save.
        """
        known = set(self.files()) if names else set[str]()
        for name in names:
            other = Journal(self.path.parent, self.head, (), name)
            for entry in other.entries():
                if str(entry.get("file")) not in known:  # all, unless this was stopped before
                    self._append(entry)
            other.close()
            other.path.unlink()

    def files(self) -> Iterator[str]:
        """The names of the images."""
        return (str(entry.get("file")) for entry in self.entries())

    def close(self) -> None:
        """Closes the file; it stays, so that the save can go on."""
        self.file.close()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{NAME} is not the journal of a save", "give another folder")
    return found
