"""The index of a store: which row holds which view. Append-only; torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# `crc` is the record's checksum, `check` the entry's own.
ENTRY = np.dtype([(name, "<u4") for name in ("image", "view", "row", "crc", "check")])

# Views of an image, and of all images together, that an index has room for: a table takes 13 bytes
# for each.
MOST_VIEWS, MOST_PLACES = 2**20, 2**31

# State of a record: not read yet, its checksum matches, or it does not.
UNKNOWN, SOUND, BAD = range(3)


def make_entries(
    images: Sequence[int], views: Sequence[int], rows: Sequence[int], crcs: Sequence[int]
) -> NDArray[np.void]:
    """Entries with their checks, one for each element of the lists."""
    entries = np.empty(len(images), ENTRY)
    for name, values in zip(ENTRY.names or (), (images, views, rows, crcs), strict=False):
        entries[name] = values
    entries["check"] = _check(entries)
    return entries


def _check(entries: NDArray[np.void]) -> NDArray[np.uint32]:
    # Bijective in each field, so that a change of a single field is always noticed. An entry of
    # zeros, as a torn write leaves it, does not pass.
    mixed = np.full(len(entries), 0x9E3779B9, np.uint32)
    for name in ("image", "view", "row", "crc"):
        mixed = (mixed ^ entries[name]) * np.uint32(0x85EBCA6B)
        mixed ^= mixed >> np.uint32(15)
    return mixed


class Index:
    """Row, checksum and state of every view, in tables `[views, images]`.

    Args:
        file: The index file; it need not exist yet.
        images: Number of images; entries with a larger image index are ignored.
    """

    def __init__(self, file: Path, images: int) -> None:
        self.file, self.images = file, images
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self.read = self.next_row = 0
        self.which: tuple[int, int] | None = None
        self.rows = np.empty((0, self.images), np.int64)
        self.crcs = np.empty((0, self.images), np.uint32)
        self.states = np.empty((0, self.images), np.uint8)

    def row(self, image: int, view: int) -> int:
        """The row of a view's record, -1 if there is none."""
        return int(self.rows[view, image]) if view < len(self.rows) else -1

    def refresh(self) -> None:
        """Reads entries that any process has appended since; skips torn ones.

        If the file was removed, cut or replaced, all entries are read anew.
        """
        try:
            found = self.file.stat()
        except FileNotFoundError:
            whole, which = 0, None
        else:
            whole, which = found.st_size // ENTRY.itemsize, (found.st_dev, found.st_ino)
        if whole < self.read or which != self.which:
            self._forget()
            self.which = which
        if whole > self.read:
            start = self.read * ENTRY.itemsize
            self._take(np.fromfile(self.file, ENTRY, whole - self.read, offset=start))
            self.read = whole

    def doubt(self, start: int, stop: int) -> None:
        """Forgets of all rows from `start` to before `stop` whether they are sound."""
        self.states[(self.rows >= start) & (self.rows < stop) & (self.states == SOUND)] = UNKNOWN

    def append(self, entries: NDArray[np.void]) -> None:
        """Writes entries after the last complete one.

        The operating system flushes them within seconds. Records whose entries are lost in a
        power failure are computed again.
        """
        with self.file.open("r+b" if self.file.exists() else "w+b") as file:
            file.seek(self.read * ENTRY.itemsize)
            file.write(entries.tobytes())
            file.truncate()
        self.refresh()

    def _take(self, entries: NDArray[np.void]) -> None:
        mine = (entries["check"] == _check(entries)) & (entries["image"] < self.images)
        entries = entries[mine]
        if not len(entries):
            return
        views = int(entries["view"].max()) + 1
        # A forged entry could ask for any amount of memory.
        if views > MOST_VIEWS or views * self.images > MOST_PLACES:
            raise ValueError(f"its index names view {views - 1} of {self.images} images")
        more = views - len(self.rows)
        if more > 0:
            grow = ((0, more), (0, 0))
            self.rows = np.pad(self.rows, grow, constant_values=-1)
            self.crcs, self.states = np.pad(self.crcs, grow), np.pad(self.states, grow)
        place = entries["view"], entries["image"]
        self.rows[place], self.crcs[place] = entries["row"], entries["crc"]
        self.states[place] = UNKNOWN
        self.next_row = max(self.next_row, int(entries["row"].max()) + 1)
