"""Images of plain colors, in a folder for each."""

from __future__ import annotations

from pathlib import Path

import pytest
from painter import COLORS
from PIL import Image


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """Five images of each plain color, of different shapes."""
    for name, color in COLORS.items():
        folder = tmp_path / "data/classes" / name
        folder.mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (20 + 6 * i, 40 - 4 * i), color).save(folder / f"{i}.png")
    return tmp_path / "data"
