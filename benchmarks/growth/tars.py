"""Tars of empty images: all that a list of images needs."""

from __future__ import annotations

import tarfile
from pathlib import Path

# Images in each folder of a tar.
FOLDER = 1000


def write_tar(path: Path, images: int) -> None:
    """Writes a tar with this many members, each named like a data set's and without bytes."""
    with path.open("wb") as file:
        for number in range(images):
            member = tarfile.TarInfo(f"train/{number // FOLDER:06d}/image-{number:08d}.jpg")
            file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.write(tarfile.NUL * 2 * tarfile.BLOCKSIZE)
