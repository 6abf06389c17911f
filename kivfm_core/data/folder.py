"""The image files of a folder. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from kivfm_core.data.images import open_image
from kivfm_core.data.names import Names


class Folder:
    """Image files; the id of each is its path in the folder.

    Args:
        path: The folder.
        names: Paths in it.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        self.path, self.names = path, Names.pack(sorted(names))

    def __len__(self) -> int:
        return len(self.names)

    def id(self, index: int) -> str:
        """An image's id."""
        return self.names[index]

    def open(self, index: int) -> Image.Image:
        """Decodes an image.

        Raises:
            DataError: If it cannot be decoded.
        """
        return open_image(self.path / self.names[index])

    def stamps(self) -> Iterator[str]:
        """Name, bytes and time of change of every file."""
        for index in range(len(self)):
            stat = (self.path / self.names[index]).stat()
            yield f"{self.names[index]}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
