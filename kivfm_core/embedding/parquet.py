"""Parquet: a row an image, columns `file`, `vector` and maps; the manifest in the metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
        self.waiting: list[Any] = []

    def write(self, names: Sequence[str], arrays: Arrays) -> None:
        """Adds rows; of a map, the values in the order of `[C, h, w]`."""
        columns: dict[str, Any] = {FILE: pa.array(list(names), pa.string())}
        for name, rows in arrays.items():
            flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, rows[0].size)
        self.waiting.append(pa.table(columns))
        if sum(table.nbytes for table in self.waiting) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self.waiting)
        self.waiting.clear()
        if self.writer is None:
            # Floats of features do not get smaller by compression.
            self.writer = pq.ParquetWriter(
                self.file, table.schema, compression="none", use_dictionary=False
            )
        self.writer.write_table(table, row_group_size=len(table))

    def close(self) -> None:
        """Forgets what waits."""
        self.waiting.clear()

    def finish(self, manifest: Manifest) -> None:
        """Writes the last group and the manifest."""
        if self.waiting:
            self._flush()
        self.writer.add_key_value_metadata({MANIFEST: json.dumps(manifest)})
        self.writer.close()


def read_parquet(file: BinaryIO) -> Content:
    """Reads the columns that a search needs, also of a file that another program wrote again."""
    try:
        parquet: Any = pq.ParquetFile(file)
        manifest = json.loads(parquet.metadata.metadata[MANIFEST.encode()])
        rows, channels = parquet.metadata.num_rows, int(manifest["channels"])
        size = file.seek(0, 2)
        if 4 * rows * channels > DENSEST * size:
            raise ValueError("it promises more than it holds")
        table = parquet.read([FILE, VECTOR])
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    vectors = table[VECTOR].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Content(table[FILE].to_pylist(), vectors.reshape(rows, channels), manifest)


PARQUET = FileKind(ParquetWriter, read_parquet)
