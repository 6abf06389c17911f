"""Maps of small numbers as PNG files, in VOC's colors where a palette holds them. Torch-free."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# The values of pixels that count as nothing, in maps of 8 and of 16 bits.
OTHER, OTHER_16 = 255, 65535


def png(values: NDArray[np.integer[Any]]) -> bytes:
    """A map `[H, W]` of values up to 65535 as a PNG: a palette up to 255, else 16 bits."""
    file = BytesIO()
    if values.max() > OTHER:
        Image.fromarray(values.astype(np.uint16)).save(file, "PNG")
    else:
        image = Image.fromarray(values.astype(np.uint8))
        image.putpalette(_COLORS)
        image.save(file, "PNG")
    return file.getvalue()


def _colors() -> bytes:
    """VOC's palette: the bits of a value, three by three, are the high bits of its color."""
    value = np.arange(256)
    color = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            color[:, channel] |= (value >> (3 * bit + channel) & 1) << (7 - bit)
    return color.astype(np.uint8).tobytes()


_COLORS = _colors()
