"""Arrays that grow on disk: for files whose head tells how long everything is. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

from kivfm_core.embedding.kind import Arrays

# Bytes that are copied at once.
PIECE = 2**20


class SpooledWriter:
    """A writer of a file whose head tells how long everything is: rows wait until the end.

    Args:
        file: Open and empty.
        folder: Where arrays wait.
    """

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self.file, self.spool = file, Spool(folder)

    def write(self, names: Sequence[str], arrays: Arrays) -> None:
        """Adds rows."""
        self.spool.write(names, arrays)

    def close(self) -> None:
        """Closes the arrays that wait."""
        self.spool.close()


class Spool:
    """Rows of several arrays, kept in files without a name until all of them are known.

    Args:
        folder: Where there is room for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.files: dict[str, BinaryIO] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def write(self, names: Sequence[str], arrays: Arrays) -> None:
        """Adds rows, float32."""
        self.names += names
        for name, rows in arrays.items():
            if name not in self.files:
                self.files[name] = TemporaryFile(dir=self.folder)
                self.shapes[name] = rows.shape[1:]
            self.files[name].write(np.ascontiguousarray(rows, "<f4").tobytes())

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array as it is now."""
        return (len(self.names), *self.shapes[name])

    def size(self, name: str) -> int:
        """Its bytes."""
        return 4 * int(np.prod(self.shape(name)))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Its bytes, from first to last."""
        file = self.files[name]
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Closes the files, which are gone then."""
        for file in self.files.values():
            file.close()
