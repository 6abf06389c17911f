"""A small teacher, and folders of images to learn from and to score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLORS = {"blue": (20, 20, 230), "green": (20, 230, 20), "red": (230, 20, 20)}


def write_classes(folder: Path, number: int, seed: int) -> Path:
    """Images of noisy colors, a folder a class."""
    random = np.random.default_rng(seed)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for i in range(number):
            pixels = np.array(color) + random.integers(-60, 60, (40, 30 + i, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "train", 6, 0)


@pytest.fixture
def val(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "val", 4, 1)
