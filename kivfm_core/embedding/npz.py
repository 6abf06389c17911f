"""NumPy's archive: arrays `file`, `vector`, maps by name, and `kivfm`, the manifest as JSON."""

from __future__ import annotations

import json
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from kivfm_core.embedding.kind import (
    FILE,
    MANIFEST,
    VECTOR,
    Content,
    FileKind,
    Manifest,
)
from kivfm_core.embedding.spool import SpooledWriter


class NpzWriter(SpooledWriter):
    """Writes an archive that `numpy.load` reads."""

    def finish(self, manifest: Manifest) -> None:
        """Puts all into the archive."""
        with zipfile.ZipFile(self.file, "w") as archive:
            for name in self.spool.files:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    shape = self.spool.shape(name)
                    head = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    npy.write_array_header_1_0(member, head)
                    for piece in self.spool.pieces(name):
                        member.write(piece)
            texts = {FILE: np.array(self.spool.names), MANIFEST: np.array(json.dumps(manifest))}
            for name, array in texts.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)


def read_npz(file: BinaryIO) -> Content:
    """Reads the archive; nothing in it is executed, and no array is larger than the file."""
    with zipfile.ZipFile(file) as archive:
        names, vectors, manifest = (_read(archive, key) for key in (FILE, VECTOR, MANIFEST))
    return Content(names.tolist(), vectors, json.loads(str(manifest)))


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed")
    with archive.open(info) as member:
        if npy.read_magic(member) == (1, 0):
            shape, _, kind = npy.read_array_header_1_0(member)
        else:
            shape, _, kind = npy.read_array_header_2_0(member)
        # Before memory is taken: the head may promise anything.
        if kind.hasobject or int(np.prod(shape, dtype=object)) * kind.itemsize > info.file_size:
            raise ValueError(f"{name} is not what its head promises")
    with archive.open(info) as member:
        return npy.read_array(member, allow_pickle=False)


NPZ = FileKind(NpzWriter, read_npz)
