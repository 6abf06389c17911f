"""safetensors: tensors `vector` and maps by name, `file`, the paths' UTF-8, each ended by a zero.

The manifest is in the metadata, as JSON.
"""

from __future__ import annotations

import json
from typing import BinaryIO

import numpy as np
from safetensors.numpy import load

from kivfm_core.embedding.kind import (
    FILE,
    MANIFEST,
    VECTOR,
    Content,
    FileKind,
    Manifest,
)
from kivfm_core.embedding.spool import SpooledWriter


class TensorWriter(SpooledWriter):
    """Writes the format by hand, since its library wants all tensors in memory."""

    def finish(self, manifest: Manifest) -> None:
        """Puts all into the file: the size of a head, the head, and the tensors."""
        spool, end = self.spool, 0
        names = b"".join(name.encode("utf-8") + b"\0" for name in spool.names)
        head: dict[str, object] = {"__metadata__": {MANIFEST: json.dumps(manifest)}}
        for name in spool.files:
            start, end = end, end + spool.size(name)
            shape = list(spool.shape(name))
            head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
        offsets = [end, end + len(names)]
        head[FILE] = {"dtype": "U8", "shape": [len(names)], "data_offsets": offsets}
        text = json.dumps(head).encode("utf-8")
        text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
        self.file.write(len(text).to_bytes(8, "little") + text)
        for name in spool.files:
            for piece in spool.pieces(name):
                self.file.write(piece)
        self.file.write(names)


def read_tensors(file: BinaryIO) -> Content:
    """Reads the file; the library checks its head."""
    size = int.from_bytes(file.read(8), "little")
    if not 0 < size < 2**27:
        raise ValueError("its head has no size")
    head = json.loads(file.read(size))
    file.seek(0)
    tensors = load(file.read())
    names = tensors[FILE].astype(np.uint8).tobytes().decode("utf-8").split("\0")[:-1]
    return Content(names, tensors[VECTOR], json.loads(head["__metadata__"][MANIFEST]))


SAFETENSORS = FileKind(TensorWriter, read_tensors)
