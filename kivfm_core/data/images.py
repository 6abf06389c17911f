"""The unlabeled pictures of a folder. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
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
        DataError: If it cannot be decoded, or is a decompression bomb.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot decode {path}: {error}") from error
