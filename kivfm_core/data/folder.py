"""The image files of a folder. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from kivfm_core.data.images import open_image
from kivfm_core.data.names import Names
from kivfm_core.data.remote.objects import Object
from kivfm_core.data.remote.part import Part


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

    def part(self, index: int) -> Part:
        """Where an image's bytes are."""
        return Part(self.path / self.names[index])

    def open(self, index: int) -> Image.Image:
        """Decodes an image.

        Raises:
            DataError: If it cannot be decoded.
        """
        return open_image(*self.part(index))

    def stamps(self) -> Iterator[str]:
        """Name, bytes and time of change of every file."""
        for index in range(len(self)):
            stat = (self.path / self.names[index]).stat()
            yield f"{self.names[index]}\0{stat.st_size}\0{stat.st_mtime_ns}\n"


class RemoteFolder(Folder):
    """Images below a URL; the id of each is its path there.

    Args:
        url: The folder.
        objects: What is known of each, by its path in it.
    """

    def __init__(self, url: Path, objects: Mapping[str, Object]) -> None:
        super().__init__(url, objects)
        found = [objects[name] for name in self.names]
        self.sizes = np.array([-1 if each.size is None else each.size for each in found], np.int64)
        self.versions = np.array([each.version for each in found], np.int64)

    def part(self, index: int) -> Part:
        """Where an image's bytes are."""
        size = int(self.sizes[index])
        return Part(
            self.path / self.names[index], 0, None if size < 0 else size, int(self.versions[index])
        )

    def stamps(self) -> Iterator[str]:
        """Name, bytes and version of every object, as they were when the folder was listed."""
        for index in range(len(self)):
            yield f"{self.names[index]}\0{self.sizes[index]}\0{self.versions[index]}\n"
