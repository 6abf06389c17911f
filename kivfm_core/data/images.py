"""The unlabeled pictures of a folder. Torch-free."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from kivfm_core.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})


def list_images(folder: Path) -> list[str]:
    """Paths of all pictures below a folder, relative to it, sorted: the image ids.

    Raises:
        DataError: If there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}", "--data FOLDER, a folder of pictures")
    # What cannot be entered is passed over, as are loops of links, pipes and devices.
    found = sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES and os.path.isfile(f"{place}/{name}")
    )
    if not found:
        kinds = " ".join(sorted(SUFFIXES))
        raise DataError(f"no pictures in {folder}", f"put pictures there ({kinds})")
    return found


def fingerprint(folder: Path, images: Sequence[str]) -> str:
    """What tells a folder's pictures from others, without reading them, in hexadecimal.

    Their names, bytes and times of change: pictures that were copied without their times count as
    others.
    """
    digest = hashlib.sha256()
    for image in images:
        stat = (folder / image).stat()
        digest.update(
            f"{image}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def open_image(path: Path) -> Image.Image:
    """Decodes a picture as RGB.

    Raises:
        DataError: If it cannot be decoded, or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`,
            as a decompression bomb has.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.convert("RGB")
    except MemoryError:
        raise
    # A hostile file can make a decoder raise anything.
    except Exception as error:
        raise DataError(f"cannot decode {printable(path)}: {error}") from error


def printable(name: str | Path) -> str:
    """A file's name as a message may show it: on one line, and none of it a terminal's command."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def listed(names: Iterable[str], limit: int = 3) -> str:
    """The first of some names, sorted."""
    first = sorted(names)
    return ", ".join(map(printable, first[:limit])) + (", ..." if len(first) > limit else "")
