"""Paths that may lead into a file: `shard.tar/a.jpg` is an image in `shard.tar`. Torch-free.

`data.arrow/image/00000012` is the image in row 12 of the column `image`, counted from 0. So labeled
images have a path each, whether they lie in folders, in tars or in tables. At a URL, whatever ends
in `.tar` is taken for a tar.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.data.arrow_rows import image_places
from kivfm_core.data.images import open_checked, open_image, stored, upright_size
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.data.tar_index import TarIndex, load_index
from kivfm_core.errors import DataError, printable


def open_at(path: Path) -> Image.Image:
    """Decodes the image at a path, as `images.open_image` does.

    Raises:
        DataError: If it cannot be decoded, or is not there.
    """
    return open_image(*_part(path))


def size_at(path: Path) -> tuple[int, int]:
    """Width and height of the image at a path, as `images.upright_size` gives them.

    Raises:
        DataError: If it cannot be opened, or is not there.
    """
    return upright_size(*_part(path))


def open_stored(path: Path) -> Image.Image:
    """Opens the image at a path in its own mode, without decoding it, as maps of classes need.

    Raises:
        DataError: If it is not there. What Pillow raises comes through.
    """
    return open_checked(stored(_part(path)))


def parts_at_url(path: Path) -> list[Part]:
    """What has to be fetched for an image: nothing if it lies here, or there is no such member."""
    with suppress(DataError):  # which opening it will say
        return [_part(path)] if isinstance(path, Url) else []
    return []


def _part(path: Path) -> Part:
    """Where the bytes of an image are."""
    for tar in path.parents:
        if tar.suffix.lower() == ".tar" and (isinstance(tar, Url) or tar.is_file()):
            index = _index(tar, *_state(tar))
            name = path.relative_to(tar).as_posix()
            place = bisect_left(index.names, name)
            if place == len(index.names) or index.names[place] != name:
                raise DataError(f"{printable(tar)} has no image {printable(name)}")
            return index.part(tar, place)
    table = path.parent.parent
    if table.suffix == ".arrow" and path.name.isdecimal() and table.is_file():
        stat = table.stat()
        places = _rows(table, path.parent.name, stat.st_size, stat.st_mtime_ns)
        row = int(path.name)
        if row >= len(places) or not places[row, 1]:
            raise DataError(f"{printable(table)} has no image in row {row + 1}")
        start, size = places[row].tolist()
        return Part(table, start, size)
    return Part(path)


def _state(tar: Path) -> tuple[int, int]:
    """Size and time; of a tar at a URL none, since each look is a request: it is read once."""
    if isinstance(tar, Url):
        return 0, 0
    stat = tar.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1024)
def _index(tar: Path, size: int, changed: int) -> TarIndex:
    """The index of a tar; size and time are there so that a changed tar is read anew."""
    return load_index(tar)


@lru_cache(maxsize=1024)
def _rows(table: Path, column: str, size: int, changed: int) -> NDArray[np.int64]:
    """Where the images of a table lie; size and time as above."""
    return image_places(table, column)
