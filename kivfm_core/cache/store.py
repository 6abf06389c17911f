"""Records of one source on disk: rows of equal length in shards, and an index. Torch-free."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from kivfm_core.cache.encoding import Layout
from kivfm_core.cache.index import BAD, SOUND, UNKNOWN, Index, make_entries
from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.maps import find_maps
from kivfm_core.errors import DataError, printable

# Index of an image, and of the view of it.
Place = tuple[int, int]

# Bytes that a file of records takes at most. It is part of the format: `key.VERSION` has to be
# raised if it changes.
SHARD = 16 * 2**30


class Store:
    """Random access to the records of one source. Several processes may read and write at once.

    A record is written before its entry in the index, and both have checksums. A record that was
    cut off, changed, or belongs elsewhere counts as missing, and is written again in the same row.
    A checksum is compared when a process first reads a record.

    Args:
        folder: The store's own folder.
        key: What the records depend on.
        layout: What a record holds.
    """

    def __init__(self, folder: Path, key: StoreKey, layout: Layout) -> None:
        self.folder, self.key, self.layout = folder, key, dict(layout)
        _check_files(folder)
        self.bytes = sum(key.encoding.bytes(*part) for part in layout.items())
        self.per_shard = max(1, SHARD // self.bytes)
        self.index = Index(folder / "index.bin", key.facts["pictures"]["number"])
        self.lock = FileLock(folder / "lock")
        maps = find_maps(folder)
        # A record of another store, with another shape, or encoded with other maps does not match
        # its checksum.
        facts = [key.digest, self.layout, *([maps.name] if maps is not None else [])]
        self.seed = zlib.crc32(json.dumps(facts).encode())
        self.maps: dict[int, NDArray[np.uint8]] = {}
        self.seen: dict[int, tuple[int, ...]] = {}

    def __contains__(self, place: Place) -> bool:
        image, view = place
        return self.index.row(image, view) >= 0 and self.index.states[view, image] != BAD

    @property
    def places(self) -> Iterator[Place]:
        """Every view that has an entry."""
        for view, image in np.argwhere(self.index.rows >= 0):
            yield int(image), int(view)

    def __len__(self) -> int:
        return int((self.index.rows >= 0).sum())

    def read(self, places: Sequence[Place]) -> list[NDArray[np.uint8]] | None:
        """Records `[bytes]` as stored; None if one is missing or not sound."""
        if not all(place in self for place in places):
            return None
        rows = [divmod(self.index.row(*place), self.per_shard) for place in places]
        for shard in {shard for shard, _ in rows}:
            self._map(shard)
        # Reads all, even after a bad one, so that every bad record is marked.
        found = [self._read(place, *row) for place, row in zip(places, rows, strict=True)]
        sound = [record for record in found if record is not None]
        return sound if len(sound) == len(found) else None

    def _map(self, shard: int) -> None:
        path = self._shard(shard)
        try:
            found = path.stat()
        except FileNotFoundError:
            now, size = (), 0
        else:
            now = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
            size = found.st_size
        if shard not in self.maps or now != self.seen[shard]:
            # Mapped at its present length: access past the end of the file would kill the process.
            shape = size // self.bytes, self.bytes
            mapped = np.memmap(path, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape)
            self.maps[shard], self.seen[shard] = np.asarray(mapped, np.uint8), now
            # The file may have been cut or replaced: what was sound in it is compared again.
            self.index.doubt(shard * self.per_shard, (shard + 1) * self.per_shard)

    def _read(self, place: Place, shard: int, row: int) -> NDArray[np.uint8] | None:
        image, view = place
        state, record = BAD, None
        if row < len(self.maps[shard]):
            # A copy: the file may be cut before the record is decoded.
            record = self.maps[shard][row].copy()
            state = int(self.index.states[view, image])
            if state == UNKNOWN:
                crc = self._crc(place, record)
                state = SOUND if crc == self.index.crcs[view, image] else BAD
        self.index.states[view, image] = state
        return record if state == SOUND else None

    def put(self, places: Sequence[Place], records: NDArray[np.uint8]) -> int:
        """Stores records `[B, bytes]` of places that have none; returns how many it stored.

        Raises:
            OSError: If the disk is full; what was stored before stays intact.
        """
        rows: dict[Place, tuple[int, int]] = {}
        with self.lock, ExitStack() as stack:
            self.index.refresh()
            files: dict[int, BinaryIO] = {}
            next_row = self.index.next_row
            for place, record in zip(places, records, strict=True):
                if place in self or place in rows:
                    continue
                row = self.index.row(*place)
                if row < 0:
                    row, next_row = next_row, next_row + 1
                shard, offset = divmod(row, self.per_shard)
                if shard not in files:
                    path = self._shard(shard)
                    mode = "r+b" if path.exists() else "w+b"
                    files[shard] = stack.enter_context(path.open(mode))
                files[shard].seek(offset * self.bytes)
                files[shard].write(record.data)
                rows[place] = row, self._crc(place, record)
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
            if rows:
                images, views = zip(*rows, strict=True)
                self.index.append(make_entries(images, views, *zip(*rows.values(), strict=True)))
        return len(rows)

    def _shard(self, number: int) -> Path:
        return self.folder / f"records-{number:04d}.bin"

    def _crc(self, place: Place, record: NDArray[np.uint8]) -> int:
        return zlib.crc32(record.data, zlib.crc32(np.array(place, "<u4").tobytes(), self.seed))


def _check_files(folder: Path) -> None:
    """Refuses a store with links or pipes in it, since its files are written to, too.

    Raises:
        DataError: Naming one.
    """
    inside = folder.iterdir() if folder.is_dir() else ()
    for path in (folder, *inside):
        if path.is_symlink() or (path.exists() and path != folder and not path.is_file()):
            raise DataError(
                f"{printable(path)} is a link or no file, and a store has none",
                "a cache from somebody else? remove its folder",
            )
