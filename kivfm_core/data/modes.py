"""From whatever mode an image file has to upright 8-bit RGB. Torch-free.

Pillow's own conversion clips what does not fit into 8 bits: a 16-bit X-ray becomes white, a depth
map in meters black. Here the range of the file's mode becomes the range of 8 bits.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kivfm_core.errors import ScaledImageWarning, printable

# Key in `Image.info` of what was done to an image's values.
NOTE = "kivfm"
# What was said in this process. Python's own filter forgets it whenever filters change.
_SAID: set[str] = set()


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """The image as viewers show it: its EXIF orientation applied, 8-bit RGB.

    Args:
        image: Of any mode. 16-bit gray is scaled by its range, 0..65535; float gray by 0..1.

    Returns:
        An RGB image; `info[NOTE]` says how its values were scaled, if they were.

    Raises:
        ValueError: If its values have no known range: 32-bit integers, or floats beyond 0..1.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return _from_gray(np.asarray(upright, np.float32) / 65535, "16-bit gray, scaled to 8 bits")
    if upright.mode == "I":
        values = np.asarray(upright)
        # A PNG has 16 bits at most, whatever mode Pillow reads it in.
        if image.format != "PNG":
            raise ValueError("32-bit integers have no known range; save it with 8 or 16 bits")
        return _from_gray(values.astype(np.float32) / 65535, "16-bit gray, scaled to 8 bits")
    if upright.mode == "F":
        values = np.asarray(upright)
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise ValueError("its floats are not all in 0..1; scale them, or save it with 8 bits")
        return _from_gray(values, "floats in 0..1, scaled to 8 bits")
    return upright.convert("RGB")


def say_scaled(image: Image.Image, where: str) -> None:
    """Warns of an image whose values were scaled, the first of each kind.

    Args:
        image: What `to_upright_rgb` gave.
        where: The image's name.
    """
    note = image.info.get(NOTE)
    if note and note not in _SAID:
        _SAID.add(note)
        warnings.warn(f"{printable(where)}: {note} (said once)", ScaledImageWarning, stacklevel=3)


def _from_gray(values: NDArray[Any], note: str) -> Image.Image:
    rgb = Image.fromarray((values * 255).round().astype(np.uint8)).convert("RGB")
    rgb.info[NOTE] = note
    return rgb
