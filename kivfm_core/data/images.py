"""Image files: which files are images, decoding, and names in messages. Torch-free."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from threading import Lock

from PIL import Image

from kivfm_core.data.modes import say_scaled, to_upright_rgb
from kivfm_core.data.remote.fetch import fetcher
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.errors import DataError, printable

# EXIF's tag of how the camera was held.
ORIENTATION = 0x0112
_OPENING = Lock()
SUFFIXES = frozenset(
    f".{end}" for end in "jpg jpeg jfif png webp bmp ppm tif tiff gif avif mpo jp2".split()
)


def is_image_file(name: str) -> bool:
    """Whether a file's name has the ending of an image."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def open_image(
    path: Path, start: int = 0, size: int | None = None, version: int = 0
) -> Image.Image:
    """Decodes an image as upright 8-bit RGB, as `modes.to_upright_rgb` does.

    Args:
        path: The file that contains the image.
        start: First byte of the image, if `size` is given.
        size: Bytes of the image; the whole file by default.
        version: Of an object at a URL, as in `Part`.

    Raises:
        DataError: If it cannot be decoded, or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`
            (a decompression bomb).
    """
    try:
        with open_checked(stored(Part(path, start, size, version))) as image:
            upright = to_upright_rgb(image)
        if upright.width * upright.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
            raise ValueError(f"it has {upright.width} x {upright.height} pixels")  # from few bytes
    except MemoryError:
        raise
    # A malicious file can make a decoder raise anything.
    except Exception as error:
        place = f" at byte {start}" if start else ""
        reason = getattr(error, "strerror", None) or error  # without number and path
        raise DataError(f"cannot decode {printable(path)}{place}: {reason}") from error
    say_scaled(upright, Path(path).name)
    return upright


def open_checked(source: Path | BytesIO, formats: list[str] | None = None) -> Image.Image:
    """Opens an image without decoding it; a decompression bomb is an error.

    Args:
        source: The file, or its bytes.
        formats: Pillow's names of the formats that it may have; all by default.
    """
    # What is a warning and what an error belongs to the process: one thread at a time says so.
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(source, formats=formats)


def upright_size(
    path: Path, start: int = 0, size: int | None = None, version: int = 0
) -> tuple[int, int]:
    """Width and height of an image as viewers show it, in pixels, without decoding it.

    Args:
        path: The file that contains the image.
        start: First byte of the image, if `size` is given.
        size: Bytes of the image; the whole file by default.
        version: Of an object at a URL, as in `Part`.

    Raises:
        DataError: If it cannot be opened.
    """
    try:
        with Image.open(stored(Part(path, start, size, version))) as image:
            turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            width, height = image.size
            return (height, width) if turned else (width, height)
    except Exception as error:  # A malicious file can make a decoder raise anything.
        raise DataError(f"cannot open {printable(path)}: {error}") from error


def stored(part: Part) -> Path | BytesIO:
    """What holds an image alone: its file, or its bytes out of a file that has more."""
    if isinstance(part.path, Url):
        return BytesIO(fetcher().read(part))
    if part.size is None:
        return part.path
    with part.path.open("rb") as file:
        file.seek(part.start)
        return BytesIO(file.read(part.size))


def listed(names: Iterable[str], limit: int = 3) -> str:
    """The first of some names, sorted, for a message."""
    first = sorted(names)
    return ", ".join(map(printable, first[:limit])) + (", ..." if len(first) > limit else "")
