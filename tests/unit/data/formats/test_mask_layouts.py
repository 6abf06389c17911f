"""Masks in the folders of known data sets, and masks with colors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kivfm_core.data.formats.class_codes import read_color_list, read_object_info
from kivfm_core.data.formats.coco import VOID
from kivfm_core.data.formats.mask_layouts import find_layout
from kivfm_core.data.formats.masks import MaskData, read_masks
from kivfm_core.errors import DataError

SPACE = ("road", "sky")
COLORS = np.array([[[128, 64, 128], [70, 130, 180], [0, 0, 0], [128, 64, 129]]], np.uint8)


def save(path: Path, values: Any = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((1, 4, 3), np.uint8) if values is None else np.array(values, np.uint8)
    Image.fromarray(pixels).save(path)


def read(path: Path) -> MaskData:
    found = read_masks(path)
    assert found is not None
    return found


@pytest.mark.parametrize("part", [".", "leftImg8bit/train"])
def test_cityscapes(tmp_path: Path, part: str):
    for name in ("val", "train"):
        save(tmp_path / f"leftImg8bit/{name}/ulm/ulm_0_leftImg8bit.png")
        save(tmp_path / f"leftImg8bit/{name}/ulm/ulm_1_leftImg8bit.png")
        save(tmp_path / f"gtFine/{name}/ulm/ulm_0_gtFine_labelIds.png", [[7, 23, 3, 255]])
        save(tmp_path / f"gtFine/{name}/ulm/ulm_0_gtFine_color.png")
    data = read(tmp_path / part)
    assert len(data.classes) == 19
    wanted = "val" if part == "." else "train"
    assert data.paths == (tmp_path / f"leftImg8bit/{wanted}/ulm/ulm_0_leftImg8bit.png",)
    assert data.semantic(0, SPACE).tolist() == [[0, 1, VOID, VOID]]
    assert data.notes == ("images without a mask, passed over: 1 (first: ulm_1_leftImg8bit.png)",)


def test_ade20k(tmp_path: Path):
    save(tmp_path / "images/validation/a.jpg")
    save(tmp_path / "annotations/validation/a.png", [[1, 2, 0, 3]])
    lines = [
        "Idx\tRatio\tName",
        "1\t0.1\troad, route",
        "2\t0.1 \tsky",
        "3\t0.1\tdoor",
        "4\t0\tdoor",
    ]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match="names a class twice"):
        read_masks(tmp_path)
    (tmp_path / "objectInfo150.txt").write_text("\n".join(lines[:-1]))
    data = read(tmp_path)
    assert data.classes == ("road", "sky", "door")
    assert data.semantic(0, ("background", *SPACE)).tolist() == [[1, 2, VOID, 0]]
    assert data.semantic(0, SPACE).tolist() == [[0, 1, VOID, VOID]]


@pytest.mark.parametrize(
    ("images", "mask", "file", "text"),
    [
        ("701_StillsRaw_full", "LabeledApproved_full/a_L.png", "label_colors.txt",
         "128 64 128\tRoad\n70 130 180\tSky\n0 0 0\t\tVoid\n"),
        ("val", "val_labels/a_L.png", "class_dict.csv",
         "name,r,g,b\nRoad,128,64,128\nSky,70,130,180\nVoid,0,0,0\n"),
        ("images", "semantic/a.png", "semantic/classes.json",
         json.dumps({"road": [128, 64, 128], "sky": [70, 130, 180]})),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colors(tmp_path: Path, images: str, mask: str, file: str, text: str, mode: str):
    save(tmp_path / images / "a.png")
    save(tmp_path / mask, COLORS)
    with Image.open(tmp_path / mask) as opened:
        opened.convert(mode, palette=Image.Palette.ADAPTIVE).save(tmp_path / mask)
    (tmp_path / file).write_text(text)
    data = read(tmp_path / "val" if images == "val" else tmp_path)
    assert data.colors
    assert data.semantic(0, SPACE).tolist() == [[0, 1, VOID, VOID]]


def test_values_in_place_of_colors_are_refused(tmp_path: Path):
    save(tmp_path / "images/a.png")
    save(tmp_path / "semantic/a.png", [[1, 2, 3, 4]])
    (tmp_path / "semantic/classes.json").write_text('{"road": [128, 64, 128]}')
    with pytest.raises(DataError, match=r"has values \(L\) in place of the classes' colors"):
        read_masks(tmp_path)


def test_folders_inside_have_the_same_names(tmp_path: Path):
    for place in ("a/x", "b/x"):
        save(tmp_path / f"images/{place}.png")
    save(tmp_path / "semantic/b/x.png", [[0, 1, 9, 255]])
    (tmp_path / "semantic/classes.json").write_text('["road", "sky"]')
    data = read(tmp_path)
    assert data.paths == (tmp_path / "images/b/x.png",)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("128 64\tRoad", "line 1: '?128 64.*is no class with its color"),
        ("128 64 128\tRoad\n128 64 128\tSky", "a class or a color twice"),
        ("1 2 300 Road", "the color of Road is"),
        ("", "names no class"),
    ],
)
def test_wrong_lists_of_colors_are_named(tmp_path: Path, text: str, match: str):
    file = tmp_path / "label_colors.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=match):
        read_color_list(file)


@pytest.mark.parametrize("text", ["Idx\tName\nx\troad", "Idx\tName\n1", "Idx\tName\n"])
def test_wrong_lists_of_objects_are_named(tmp_path: Path, text: str):
    file = tmp_path / "objectInfo150.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=r"objectInfo150\.txt"):
        read_object_info(file)


def test_other_folders_have_no_masks(tmp_path: Path):
    (tmp_path / "images").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos_labels").mkdir()
    assert read_masks(tmp_path) is None and read_masks(tmp_path / "photos") is None
    assert read_masks(tmp_path / "none") is None


def test_a_folder_may_be_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for part in ("leftImg8bit/val/x", "gtFine/val/x"):
        (tmp_path / part).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    here, root = find_layout(Path()), find_layout(tmp_path)
    assert here is not None and root is not None and here.images.resolve() == root.images
    monkeypatch.chdir(tmp_path / "leftImg8bit/val")
    part = find_layout(Path())
    assert part is not None and part.masks == tmp_path / "gtFine/val"
    monkeypatch.chdir("/")
    assert find_layout(Path()) is None
