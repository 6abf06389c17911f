"""Labeled images: listing, picking, and decoding with a limit on the broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from kivfm_core.data.images import SUFFIXES
from kivfm_core.data.members import open_at
from kivfm_core.errors import DataError

_T = TypeVar("_T")


def list_images(folder: Path) -> list[Path]:
    """The image files that lie directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def pick(items: Sequence[_T], indices: Sequence[int]) -> tuple[_T, ...]:
    """The items at the given indices."""
    return tuple(items[i] for i in indices)


class ImageReader:
    """Decodes images; skips and counts those that it cannot.

    Args:
        total: How many will be opened.
        limit: More of them broken is an error; by default ten, or a tenth.
    """

    def __init__(self, total: int, limit: int | None = None) -> None:
        self.limit = max(10, total // 10) if limit is None else limit
        self.read = 0
        self.broken: list[str] = []

    def open(self, path: Path) -> Image.Image | None:
        """The image as RGB, or None if it cannot be decoded.

        Raises:
            DataError: If too many could not be decoded.
        """
        try:
            return self.count(open_at(path))
        except DataError as error:
            return self.count(error)

    def count(self, found: _T | DataError) -> _T | None:
        """What was decoded, or None for the error that came instead.

        Raises:
            DataError: If too many could not be decoded.
        """
        if not isinstance(found, DataError):
            self.read += 1
            return found
        self.broken.append(found.message)
        if len(self.broken) > self.limit:
            self.refuse()
        return None

    def refuse(self) -> None:
        """Raises the error with the number of broken images."""
        raise DataError(
            f"{len(self.broken)} of the first {len(self.broken) + self.read} images are broken:"
            f" {self.broken[0]}",
            "remove or replace these files",
        )
