"""The images in a tar, read from inside the tar: nothing is ever unpacked. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from kivfm_core.data.images import open_image
from kivfm_core.data.remote.part import Part
from kivfm_core.data.tar_index import load_index
from kivfm_core.errors import printable


class Tar:
    """The images in a tar; the id of each is `shard.tar/member.jpg`.

    A member's name is only used as a part of an id, never as a path: names that are absolute, or
    contain `..`, do no harm. The tar is opened for every image, so that processes share no file.

    Args:
        folder: The folder that ids are relative to.
        name: The tar's path in this folder.

    Raises:
        DataError: If the tar cannot be read.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.name = folder / name, name
        self.index = load_index(self.path)

    @property
    def note(self) -> str:
        """What is wrong with the tar; empty if nothing is."""
        if not self.index.damage:
            return ""
        before = f"the {len(self)} images before that are used"
        return f"{printable(self.path)} is damaged, {before}: {self.index.damage}"

    def __len__(self) -> int:
        return len(self.index.names)

    def id(self, index: int) -> str:
        """An image's id."""
        return f"{self.name}/{self.index.names[index]}"

    def part(self, index: int) -> Part:
        """Where an image's bytes are."""
        return self.index.part(self.path, index)

    def open(self, index: int) -> Image.Image:
        """Decodes an image.

        Raises:
            DataError: If it cannot be decoded.
        """
        return open_image(*self.part(index))

    def stamps(self) -> Iterator[str]:
        """Name, version of the index, bytes and time of change."""
        yield "\0".join(map(str, (self.name, *self.index.state))) + "\n"
