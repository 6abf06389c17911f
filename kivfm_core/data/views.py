"""Views: the part of an image that is shown, a function of (seed, image id, view index).

Torch-free.
"""

from __future__ import annotations

import os
import zlib

import numpy as np

from kivfm_core.geometry import Size, View

SMALLEST = 0.5
# Version of how images become canvases: raised with every change, so that cached outputs of the
# old canvases are not used.
VERSION = 2


def sample_view(
    original: Size,
    seed: int,
    image_id: str,
    index: int,
    smallest: float = SMALLEST,
    whole: float = 0.0,
) -> View:
    """A square box somewhere on an image, and a flip.

    Its side is drawn uniformly between a share of the image's short side and its long side. A box
    that is longer than the image's height or width contains all of it, and padding.

    Args:
        original: `(height, width)` of the image.
        seed: The run's random seed.
        image_id: Stable name of the image.
        index: Which view of the image.
        smallest: Smallest side of a box, as a share of the short side.
        whole: Share of the views that show the whole image, as detectors and segmenters need it.
    """
    rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(image_id)), index])
    h, w = original
    least = max(h, w) if whole and rng.random() < whole else smallest * min(h, w)
    side = max(1, round(rng.uniform(least, max(h, w))))
    x, y = (int(rng.integers(min(0, n - side), max(0, n - side) + 1)) for n in (w, h))
    return View((x, y, x + side, y + side), flip=bool(rng.random() < 0.5))


def sample_others(images: int, seed: int, image_id: str, index: int, mosaic: float) -> list[int]:
    """The other images on a view's canvas: three for a mosaic, otherwise none.

    They are drawn with replacement: of few images, a mosaic may show one twice.

    Args:
        images: Number of images.
        seed: The run's random seed.
        image_id: Stable name of the image.
        index: Which view of the image.
        mosaic: Share of the canvases that are mosaics.

    Returns:
        Indices of images.
    """
    # A random stream of its own, so that mosaics do not change the views.
    rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(image_id)), index, 1])
    return rng.integers(images, size=3).tolist() if rng.random() < mosaic else []
