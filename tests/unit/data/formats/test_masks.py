"""Masks as other tools write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kivfm_core.data.formats.coco import VOID
from kivfm_core.data.formats.masks import MaskData, read_masks
from kivfm_core.errors import DataError

SPACE = ("road", "sky")
VALUES = np.array([[0, 1, 2, 255]], np.uint8)


def write(folder: Path, classes: Any, mask: Image.Image | None = None) -> Path:
    for name in ("images", "semantic"):
        (folder / name).mkdir()
    Image.new("RGB", (4, 1)).save(folder / "images/a.jpg")
    (mask or Image.fromarray(VALUES)).save(folder / "semantic/a.png")
    (folder / "semantic/classes.json").write_text(json.dumps(classes), encoding="utf-8")
    return folder


def read(folder: Path) -> MaskData:
    found = read_masks(folder)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["road", "sky"], [0, 1, VOID, VOID]),
        ({"road": 2, "sky": 0}, [1, VOID, 0, VOID]),
        ({"2": "road", "0": "sky"}, [1, VOID, 0, VOID]),
        ({"sky": 255, "road": 1}, [VOID, 0, VOID, 1]),
    ],
)
def test_the_values_that_the_names_say(tmp_path: Path, classes: Any, expected: list[int]):
    data = read(write(tmp_path, classes))
    assert data.semantic(0, SPACE)[0].tolist() == expected


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_modes_of_one_channel_are_read(tmp_path: Path, mode: str):
    values = (
        Image.fromarray(VALUES.astype(np.uint16)) if mode == "I;16" else Image.fromarray(VALUES)
    )
    if mode == "P":
        values = Image.fromarray(VALUES)
        values.putpalette([i for i in range(256) for _ in range(3)])
    data = read(write(tmp_path, ["road", "sky"], values))
    assert data.semantic(0, SPACE)[0].tolist() == [0, 1, VOID, VOID]


def test_one_bit_is_two_classes(tmp_path: Path):
    bits = Image.fromarray(np.array([[0, 255, 255, 0]], np.uint8)).convert("1")
    assert read(write(tmp_path, list(SPACE), bits)).semantic(0, SPACE)[0].tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    "classes", ["road", 5, [], {}, None, {"road": "one"}, {"road": -1}, {"road": 70000},
                {"road": True}, ["road", "road"]],
)  # fmt: skip
def test_other_names_are_refused(tmp_path: Path, classes: Any):
    with pytest.raises(DataError, match=r"classes\.json"):
        read(write(tmp_path, classes))


def test_colors_are_refused_by_name(tmp_path: Path):
    with pytest.raises(DataError, match=r"a\.png has colors \(RGB\)"):
        read(write(tmp_path, list(SPACE), Image.new("RGB", (4, 1))))


def test_another_size_is_refused_before_anything_runs(tmp_path: Path):
    with pytest.raises(DataError, match=r"a\.jpg is 4 x 1 .* its mask 2 x 2"):
        read(write(tmp_path, list(SPACE), Image.new("L", (2, 2))))


def test_a_torn_mask_is_refused_by_name(tmp_path: Path):
    folder = write(tmp_path, list(SPACE))
    (folder / "semantic/a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot open the mask .*a\.png"):
        read(folder)


def test_images_without_a_mask_are_counted(tmp_path: Path):
    folder = write(tmp_path, list(SPACE))
    for name in ("b", "c"):
        Image.new("RGB", (4, 1)).save(folder / f"images/{name}.jpg")
    data = read(folder)
    assert [path.name for path in data.paths] == ["a.jpg"]
    assert data.notes == ("images without a mask, passed over: 2 (first: b.jpg)",)
