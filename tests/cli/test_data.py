"""`kivfm data check`: what would be read, in words, as JSON, and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kivfm_cli.app import main
from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.data.saving.table import SAVERS, open_saver

CLASSES = ("cat", "dog")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (60, 40), (90, 120, 90)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def save(name: str, folder: Path, photo: Path) -> Path:
    holds = SAVERS[name].holds
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:40] = True
    things = (SavedObject(1, (10, 10, 40, 30), mask=mask), SavedObject(1, (0, 0, 5, 5)))
    with open_saver(name, folder, CLASSES) as saver:
        for file in ("a.png", "b.png"):
            saver.add(
                SavedImage(
                    file, 60, 40,
                    things if "boxes" in holds and file == "a.png" else (),
                    np.where(mask, 1, -1) if "map" in holds else None,
                    1 if "class" in holds else None,
                    source=photo,
                )
            )  # fmt: skip
    return folder


@pytest.mark.parametrize("name", SAVERS)
def test_saved_labels_are_shown(tmp_path: Path, photo: Path, capsys, name: str):
    folder = save(name, tmp_path / "labels", photo)
    sheet = tmp_path / "sheet.png"
    assert main(["data", "check", str(folder), "--json", "--out", str(sheet)]) == 0
    shown = json.loads(capsys.readouterr().out)
    (found,) = shown["formats"]
    assert found["format"] == SAVERS[name].reader and found["images"] == 2
    assert found["classes"]["dog"] == 2 and found["problem"] is None
    if "boxes" in SAVERS[name].holds:
        assert (found["objects"], found["masks"]) == (2, 1)
        assert "instance-segmentation" in found["tasks"]
    with Image.open(sheet) as drawn:
        assert drawn.width > drawn.height > 0


def test_words_say_what_is_passed_over(tmp_path: Path, photo: Path, capsys):
    folder = save("coco", tmp_path / "labels", photo)
    (folder / "images/b.png").unlink()
    assert main(["data", "check", f"coco:{folder}"]) == 0
    out = capsys.readouterr().out
    assert "detection, instance-segmentation" in out
    assert "coco: images that are not there: 1 (first: b.png)" in out


def test_values_of_masks_that_hide_pixels_are_named(tmp_path: Path, photo: Path, capsys):
    folder = save("masks", tmp_path / "labels", photo)
    for name, values in {"a": [0, 1, 255], "b": [1, 7, 255]}.items():
        pixels = np.repeat(np.array(values, np.uint8), 800).reshape(60, 40).T
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"semantic/{name}.png")
    assert main(["data", "check", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "masks: values of masks that are no class, and do not count: 255 in 2, 7 in 1" in out
    (folder / "semantic/classes.json").write_text('{"cat": 0, "dog": 1, "owl": 255, "fox": 7}')
    assert main(["data", "check", str(folder), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["formats"]
    assert found["classes"] == {"cat": 1, "dog": 2, "owl": 2, "fox": 1} and not found["notes"]


def test_colors_of_masks_that_are_no_class_are_named(tmp_path: Path, photo: Path, capsys):
    for name in ("images", "semantic"):
        (tmp_path / name).mkdir()
    photo.rename(tmp_path / "images/a.png")
    mask = Image.new("RGB", (60, 40), (9, 8, 7))
    mask.paste((1, 2, 3), (0, 0, 9, 9))
    mask.save(tmp_path / "semantic/a.png")
    (tmp_path / "semantic/classes.json").write_text('{"cat": [1, 2, 3], "dog": [0, 0, 255]}')
    assert main(["data", "check", f"masks:{tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "colors of masks that are no class, and do not count: [9, 8, 7] in 1" in out


def test_several_formats_are_all_shown(tmp_path: Path, photo: Path, capsys):
    folder = save("coco", tmp_path / "labels", photo)
    (folder / "labels.json").write_text('{"a.png": "cat"}')
    assert main(["data", "check", str(folder), "--json"]) == 0
    formats = {found["format"] for found in json.loads(capsys.readouterr().out)["formats"]}
    assert formats == {"coco", "labels"}


def test_what_cannot_be_read_is_an_error(tmp_path: Path, photo: Path, capsys):
    folder = save("yolo", tmp_path / "labels", photo)
    (folder / "labels/a.txt").write_text("7 0 0 1 1\n")
    assert main(["data", "check", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "a.txt, line 1: the class 7 is not in data.yaml" in error


def test_nothing_is_an_error(tmp_path: Path, capsys):
    assert main(["data", "check", str(tmp_path)]) == 1
    assert "has no labels in a known format" in capsys.readouterr().err


def test_the_data_are_not_drawn_over(tmp_path: Path, photo: Path, capsys):
    folder = save("coco", tmp_path / "a", photo)
    image = next((folder / "images").iterdir())
    before = image.read_bytes()
    assert main(["data", "check", str(folder), "-o", str(image)]) == 2
    assert "is part of the data" in capsys.readouterr().err and image.read_bytes() == before


def test_no_name_is_no_data(capsys):
    for source in ("", "coco:"):
        assert main(["data", "check", source]) == 1
        assert "no such data" in capsys.readouterr().err


def test_texts_are_counted_and_drawn(tmp_path: Path, photo: Path, capsys):
    rows = ["file,text", "photo.png,a meadow", "photo.png,a lawn [red]x"]
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    sheet = tmp_path / "sheet.png"
    for place in (tmp_path, tmp_path / "captions.csv", f"pairs:{tmp_path}"):
        assert main(["data", "check", str(place), "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["formats"]
        assert (found["format"], found["images"], found["texts"]) == ("pairs", 1, 2)
        assert found["tasks"] == ["retrieval"] and found["objects"] is None
    assert main(["data", "check", str(tmp_path), "-o", str(sheet)]) == 0
    assert "pairs: 2 texts of 1 images" in capsys.readouterr().out
    with Image.open(sheet) as drawn:
        assert drawn.height > 40
