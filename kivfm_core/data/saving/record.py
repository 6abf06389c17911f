"""What is saved for an image: its objects, its map of classes, or its class. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# The value of a pixel without a class in `SavedImage.class_map`.
NO_CLASS = -1


@dataclass(frozen=True, eq=False)
class SavedObject:
    """An object in an image.

    Attributes:
        label: Index of its class in the saver's classes.
        box: `(x1, y1, x2, y2)` in the image's own pixels, upright as viewers show it.
        score: In 0..1; None for what a person drew.
        mask: Bool `[H, W]`; None if there is only the box.
    """

    label: int
    box: tuple[float, float, float, float]
    score: float | None = None
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class SavedImage:
    """The labels of one image.

    Attributes:
        file: Its name in the saved data, with forward slashes: relative, and without `..`.
        width: In pixels, upright as viewers show it.
        height: In pixels.
        objects: Its objects; none is an answer too, and is saved.
        class_map: Indices of classes `[H, W]`, and `NO_CLASS` where there is none.
        label: Index of the image's own class.
        score: Of this class, in 0..1.
        source: The image file. It is laid into the saved data (as a hard link, or else a copy), so
            that these can be read as they are; None leaves the images away.
    """

    file: str
    width: int
    height: int
    objects: tuple[SavedObject, ...] = ()
    class_map: NDArray[np.integer] | None = None
    label: int | None = None
    score: float | None = None
    source: Path | None = None
