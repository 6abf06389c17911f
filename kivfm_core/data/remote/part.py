"""Where the bytes of an image lie: a file, or a part of one, here or at a URL. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Part(NamedTuple):
    """The bytes of an image.

    Attributes:
        path: The file or object that contains them.
        start: The first byte.
        size: How many; None for all.
        version: A number that changes with the object at a URL; 0 if it is not known, or a file.
    """

    path: Path
    start: int = 0
    size: int | None = None
    version: int = 0
