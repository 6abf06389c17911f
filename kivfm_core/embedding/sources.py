"""The images that a command line means: folders, tars, patterns and files, by name. Torch-free."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from glob import glob, has_magic
from itertools import accumulate
from pathlib import Path

from PIL import Image

from kivfm_core.data.folder import Folder
from kivfm_core.data.images import is_image_file
from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.errors import DataError, printable


class NamedImages:
    """Images of several places in one sequence. A name leads to its file from here.

    Args:
        places: The folder that ids are relative to, and its images.
    """

    def __init__(self, places: Sequence[tuple[Path, Images]]) -> None:
        self.places = places
        self.starts = list(accumulate((len(images) for _, images in places), initial=0))

    def __len__(self) -> int:
        return self.starts[-1]

    def name(self, index: int) -> str:
        """An image's path; what is no UTF-8 in it is written out."""
        (folder, images), place = self._find(index)
        return os.fsencode(folder / images[place]).decode("utf-8", "backslashreplace")

    def open(self, index: int) -> Image.Image:
        """Decodes an image as upright RGB.

        Raises:
            DataError: If it cannot be decoded.
        """
        (_, images), place = self._find(index)
        return images.open(place)

    def _find(self, index: int) -> tuple[tuple[Path, Images], int]:
        at = bisect_right(self.starts, index) - 1
        return self.places[at], index - self.starts[at]


def find_named(given: Sequence[str | Path]) -> NamedImages:
    """Finds all images of some places, in the order given; in each they are sorted by name.

    Args:
        given: Folders (with what is below them), tars, image files, and patterns such as
            `photos/**/*.jpg`.

    Raises:
        DataError: If a place does not exist, or has no images.
    """
    return NamedImages([place for each in given for place in _places(Path(each).expanduser())])


def _places(path: Path) -> list[tuple[Path, Images]]:
    if path.is_dir() or path.suffix.lower() == ".tar":
        folder = path if path.is_dir() else path.parent
        return [(folder, find_images(path))]
    if path.is_file():
        return [_files(path.parent, [path.name])]
    if has_magic(str(path)):
        files = [f for f in sorted(glob(str(path), recursive=True)) if is_image_file(f)]
        if files:
            return [_files(Path(), files)]
        raise DataError(f"no image matches {printable(path)}", "quote patterns: 'photos/*.jpg'")
    raise DataError(f"there is no {printable(path)}", "a folder, a tar, a pattern or a file")


def _files(folder: Path, names: list[str]) -> tuple[Path, Images]:
    return folder, Images(folder, [Folder(folder, names)])
