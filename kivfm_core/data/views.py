"""Views: what is cut from an image, pure in (seed, image id, view index). Torch-free."""

from __future__ import annotations

import os
import zlib

import numpy as np

from kivfm_core.geometry import Size, View

SMALLEST = 0.5
VERSION = 1
"""Of how images become canvases: raised with every change, so that stored answers are stale."""


def sample_view(
    original: Size,
    seed: int,
    image_id: str,
    index: int,
    smallest: float = SMALLEST,
    whole: float = 0.0,
) -> View:
    """A square box somewhere on an image, and a flip.

    Sides are uniform from a share of the short side to the whole long side. A box longer than a
    side holds all of it, somewhere, and padding beside it: as letterboxed and cropped canvases do.

    Args:
        original: `(height, width)` of the image.
        seed: Of the run.
        image_id: Stable name of the image.
        index: Which view of the image.
        smallest: That share.
        whole: Share of the views that hold the whole image, as detectors and segmenters see it.
    """
    rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(image_id)), index])
    h, w = original
    least = max(h, w) if whole and rng.random() < whole else smallest * min(h, w)
    side = max(1, round(rng.uniform(least, max(h, w))))
    x, y = (int(rng.integers(min(0, n - side), max(0, n - side) + 1)) for n in (w, h))
    return View((x, y, x + side, y + side), flip=bool(rng.random() < 0.5))


def sample_others(images: int, seed: int, image_id: str, index: int, mosaic: float) -> list[int]:
    """The images that a canvas shows beside a view's own: three for a mosaic, else none.

    They are drawn freely: a small pool may show the same cut twice.

    Args:
        images: How many there are.
        seed: Of the run.
        image_id: Stable name of the image.
        index: Which view of the image.
        mosaic: Share of the canvases that are mosaics.

    Returns:
        Indices of images.
    """
    # A stream of its own: views stay what they are without mosaics.
    rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(image_id)), index, 1])
    return rng.integers(images, size=3).tolist() if rng.random() < mosaic else []
