"""Parquet: a row an image, columns `file`, `vector` and maps; the manifest in the metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kivfm_core.embedding.kind import (
    FILE,
    MANIFEST,
    VECTOR,
    Arrays,
    Content,
    FileKind,
    Manifest,
)

# Rows are written in groups of this many bytes: readers are slow with small ones.
GROUP = 2**25
# Vectors do not get smaller than this share by any compression, unless a file was made to lie.
DENSEST = 64


class ParquetWriter:
    """Writes a group of rows whenever enough are there.

    Args:
        file: Open and empty.
        folder: Not used: little waits, and in memory.
    """

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self.file = file
        self.writer: Any = None
        self.names: list[str] = []
        # Rows are copied to where they wait: arrays that are kept one by one keep the memory around
        # them from being used again, gigabytes of it.
        self.waiting: dict[str, NDArray[Any]] = {}

    def write(self, names: Sequence[str], arrays: Arrays) -> None:
        """Adds rows; of a map, the values in the order of `[C, h, w]`."""
        if not self.waiting:
            room = max(1, GROUP // sum(4 * rows[0].size for rows in arrays.values()))
            self.waiting = {
                name: np.empty((room, rows[0].size), np.float32) for name, rows in arrays.items()
            }
        for index, image in enumerate(names):
            for name, rows in arrays.items():
                self.waiting[name][len(self.names)] = rows[index].reshape(-1)
            self.names.append(image)
            if len(self.names) == len(self.waiting[VECTOR]):
                self._flush()

    def _flush(self) -> None:
        columns: dict[str, Any] = {FILE: pa.array(self.names, pa.string())}
        for name, rows in self.waiting.items():
            flat = pa.array(rows[: len(self.names)].reshape(-1))
            # No value can be missing, so readers need not look for gaps.
            kind = pa.list_(pa.field("element", pa.float32(), nullable=False), rows.shape[1])
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, type=kind)
        fields = [pa.field(name, c.type, nullable=False) for name, c in columns.items()]
        table = pa.table(columns, schema=pa.schema(fields))
        if self.writer is None:
            # Floats of features do not get smaller by compression.
            self.writer = pq.ParquetWriter(
                self.file, table.schema, compression="none", use_dictionary=False
            )
        self.writer.write_table(table, row_group_size=len(table))
        self.names = []

    def close(self) -> None:
        """Forgets what waits."""
        self.waiting.clear()

    def finish(self, manifest: Manifest) -> None:
        """Writes the last group and the manifest."""
        if self.names:
            self._flush()
        self.writer.add_key_value_metadata({MANIFEST: json.dumps(manifest)})
        self.writer.close()


def read_parquet(file: BinaryIO) -> Content:
    """Reads the columns that a search needs, also of a file that another program wrote again."""
    try:
        # Mapped, it is not copied once more into memory that is fresh, which takes longer than the
        # rest. What is returned is a copy.
        whole = pa.py_buffer(mmap(file.fileno(), 0, access=ACCESS_READ))
        parquet: Any = pq.ParquetFile(pa.BufferReader(whole), pre_buffer=False)
        manifest = json.loads(parquet.metadata.metadata[MANIFEST.encode()])
        rows, channels = parquet.metadata.num_rows, int(manifest["channels"])
        if 4 * rows * channels > DENSEST * whole.size:
            raise ValueError("it promises more than it holds")
        return Content(*_read_rows(parquet, rows, channels), manifest)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _read_rows(parquet: Any, rows: int, channels: int) -> tuple[list[str], NDArray[Any]]:
    """Names and vectors, a group at a time, so that few bytes are in memory twice."""
    names: list[str] = []
    vectors, done = np.empty((rows, channels), np.float32), 0
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group, [FILE, VECTOR], use_threads=False)
        names += table[FILE].to_pylist()
        for chunk in table[VECTOR].chunks:
            found = chunk.flatten().to_numpy(zero_copy_only=False)
            if found.dtype != vectors.dtype:
                raise ValueError("its vectors are no float32")
            vectors[done : done + len(chunk)] = found.reshape(len(chunk), channels)
            done += len(chunk)
    if done != rows:
        raise ValueError(f"it promises {rows} rows and holds {done}")
    return names, vectors


PARQUET = FileKind(ParquetWriter, read_parquet)
