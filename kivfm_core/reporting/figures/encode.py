"""Figures as data URIs that fit on a page together."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from kivfm_core.reporting.gallery import Figure

# All figures of a page, in bytes of their base64: with the rest a page stays below 5 MB.
BUDGET = 3_600_000
# Pixels of a file for each pixel of the page, the finest first; then the quality of WebP.
FINENESS = ((1.5, 82), (1.25, 78), (1.0, 75), (0.75, 65), (0.5, 55), (0.3, 40))


def encode(figures: Sequence[Figure], budget: int = BUDGET) -> None:
    """Gives every figure its `uri`, as fine as all together may be.

    Args:
        figures: The figures of a page.
        budget: Bytes for all.
    """
    for fineness, quality in FINENESS:
        for one in figures:
            _encode(one, fineness, quality)
        if sum(len(one.uri) for one in figures) <= budget:
            return


def _encode(figure: Figure, fineness: float, quality: int) -> None:
    image, file = figure.image, BytesIO()
    scale = figure.side * fineness / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    image.save(file, "WEBP", quality=quality, method=4)
    figure.uri = f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"
    figure.width, figure.height = image.size
