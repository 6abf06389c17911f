"""Many names in little memory. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Names:
    """Names in one block of bytes.

    A list of a million strings takes three times the memory, and each loader process would copy it:
    reading a Python object writes its reference count, and so copies its memory page.

    Args:
        block: All names joined, in the file system's encoding.
        ends: The end of each name in the block, `[N]`.
    """

    def __init__(self, block: bytes, ends: NDArray[np.int64]) -> None:
        self.block, self.ends = block, ends

    @classmethod
    def pack(cls, names: Iterable[str]) -> Names:
        """Packs names, in their order."""
        encoded = [os.fsencode(name) for name in names]
        ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
        return cls(b"".join(encoded), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        start = int(self.ends[index - 1]) if index else 0
        return os.fsdecode(self.block[start : int(self.ends[index])])
