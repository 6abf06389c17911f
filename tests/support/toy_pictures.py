"""A folder of small pictures of different shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path) -> Path:
    """Writes twelve, half of them into a folder of their own."""
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        # Smooth, as photographs are: nothing could be learned from noise.
        pixels = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
        pixels.resize((90 - 3 * i, 50 + 7 * i)).save(
            folder / ("more" if i % 2 else "") / f"{i:02d}.png"
        )
    return folder
