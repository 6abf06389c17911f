"""A run to put heads on, and labels for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from head_labels import COLORS
from PIL import Image

from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill


@pytest.fixture
def run(config: RunConfig, tmp_path: Path) -> Path:
    return distill(config, out=tmp_path / "run")


@pytest.fixture
def colors(tmp_path: Path) -> str:
    """Images of noisy colors, in a folder for each."""
    source = np.random.default_rng(0)
    for name, color in COLORS.items():
        (tmp_path / "colors" / name).mkdir(parents=True)
        for i in range(6):
            noise = source.integers(-20, 20, (40 + 4 * i, 60, 3))
            pixels = (np.array(color) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "colors" / name / f"{i}.png")
    return str(tmp_path / "colors")


@pytest.fixture
def maps(tmp_path: Path) -> str:
    """Images whose left half has one color, and whose right half another."""
    root = tmp_path / "maps"
    for folder in ("images", "semantic"):
        (root / folder).mkdir(parents=True)
    (root / "semantic/classes.json").write_text(json.dumps(list(COLORS)))
    values = list(COLORS.values())
    for i in range(6):
        pixels, labels = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
        for half, label in ((slice(0, 32), i % 3), (slice(32, 64), (i + 1) % 3)):
            pixels[:, half], labels[:, half] = values[label], label
        Image.fromarray(pixels).save(root / f"images/{i}.png")
        Image.fromarray(labels).save(root / f"semantic/{i}.png")
    return str(root)
