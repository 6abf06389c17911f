"""Maps of small numbers in image files: values of one channel, or colors. Torch-free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kivfm_core.data.members import open_stored, size_at
from kivfm_core.errors import DataError, printable

# Pillow's modes of one channel: bits, bytes, a palette, 16 bits.
MODES = ("1", "L", "P", "I;16", "I")
# And of colors, a palette included.
COLORS = ("P", "RGB", "RGBA")


def check_map(image: Path, file: Path, *, colors: bool = False) -> None:
    """Refuses a map that has no class values, or not the size of its image.

    Args:
        image: The image.
        file: Its map.
        colors: Whether colors stand for the classes.

    Raises:
        DataError: If it cannot be opened, or is something else.
    """
    try:
        with open_stored(file) as opened:
            mode, size = opened.mode, opened.size
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise DataError(f"cannot open the mask {printable(file)}: {error}") from error
    if not colors and mode not in MODES:
        raise DataError(
            f"{printable(file)} has colors ({mode}) in place of class values",
            "save masks with one channel, mode L or P, or name the classes' colors",
        )
    if colors and mode not in COLORS:
        raise DataError(f"{printable(file)} has values ({mode}) in place of the classes' colors")
    check_size(image, size, "mask")


def check_size(image: Path, size: tuple[int, int], what: str) -> None:
    """Refuses a map that has not the size of its image.

    Args:
        image: The image.
        size: Width and height of its map, in pixels.
        what: What the map is called.

    Raises:
        DataError: If the image has another size.
    """
    try:
        shown = size_at(image)
    except DataError:
        return  # it is counted when it cannot be decoded
    if shown != size:
        raise DataError(
            f"{printable(image)} is {shown[0]} x {shown[1]} pixels (upright, as viewers show it),"
            f" its {what} {size[0]} x {size[1]}",
            "make both of one size",
        )


def read_map(file: Path, *, colors: bool = False) -> NDArray[np.int64]:
    """The values of a map `[H, W]`; those of colors are `65536 * R + 256 * G + B`.

    Raises:
        DataError: If it cannot be decoded.
    """
    try:
        with open_stored(file) as opened:
            if not colors:
                return np.asarray(opened).astype(np.uint16).astype(np.int64)
            return np.asarray(opened.convert("RGB")).astype(np.int64) @ (65536, 256, 1)
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise DataError(f"cannot decode the mask {printable(file)}: {error}") from error
