"""Saving goes on after an interruption, refuses what it cannot hold, and touches nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kivfm_core.data.formats.coco import read_coco
from kivfm_core.data.saving.outline import outline
from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.data.saving.table import SAVERS, open_saver
from kivfm_core.errors import DataError, UsageError

CLASSES = ("cat", "dog")
BOX = SavedObject(1, (1.0, 1.0, 4.0, 3.0), 0.5)


def image(file: str, *objects: SavedObject, **more: object) -> SavedImage:
    return SavedImage(file, 6, 4, objects, **more)  # type: ignore[arg-type]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (6, 4)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_an_interrupted_save_goes_on(tmp_path: Path, photo: Path):
    with pytest.raises(KeyboardInterrupt), open_saver("coco", tmp_path / "out", CLASSES) as saver:
        saver.add(image("a.png", BOX, source=photo))
        raise KeyboardInterrupt
    assert not (tmp_path / "out/instances.json").exists()
    # A kill can leave a half-written line.
    with (tmp_path / "out/.labels.jsonl").open("a") as file:
        file.write('{"file": "b.p')
    with open_saver("coco", tmp_path / "out", CLASSES) as saver:
        assert saver.done == {"a.png"}
        saver.add(image("a.png"))  # saved already
        saver.add(image("b.png", source=photo))
    data = read_coco(tmp_path / "out")
    assert data is not None
    assert [len(items) for items in data.annotations] == [1, 0]
    content = json.loads((tmp_path / "out/instances.json").read_text())
    assert content["annotations"][0]["score"] == 0.5


def test_more_images_can_be_added_to_a_whole_save(tmp_path: Path, photo: Path):
    for files in (["a.png"], ["a.png", "b.png"]):
        with open_saver("csv", tmp_path / "out", CLASSES) as saver:
            for file in files:
                saver.add(image(file, label=0, source=photo))
    text = (tmp_path / "out/labels.csv").read_text()
    assert text == "file,class,score\na.png,cat,\nb.png,cat,\n"


@pytest.mark.parametrize(
    ("classes", "about", "named"),
    [(("dog", "cat"), {"threshold": 0.3}, "classes"), (CLASSES, {"threshold": 0.5}, "threshold")],
)
def test_a_save_goes_on_only_with_the_same_settings(tmp_path: Path, classes, about, named):
    open_saver("yolo", tmp_path, CLASSES, {"threshold": 0.3}).close()
    with pytest.raises(UsageError, match=f"otherwise: {named} changed"):
        open_saver("yolo", tmp_path, classes, about)


@pytest.mark.parametrize("name", SAVERS)
def test_labels_of_someone_else_are_not_overwritten(tmp_path: Path, name: str):
    there = tmp_path / SAVERS[name].saver.marks[0]
    there.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        open_saver(name, tmp_path, CLASSES)
    assert there.read_text() == "mine"
    assert not (tmp_path / ".labels.jsonl").exists()


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path):
    with (
        open_saver("coco", tmp_path, CLASSES),
        pytest.raises(UsageError, match="another process is writing"),
    ):
        open_saver("coco", tmp_path, CLASSES)


@pytest.mark.parametrize("file", ["../a.png", "/a.png", "a/../b.png", "a\\b.png", "a\n.png", ""])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, file: str):
    with open_saver("yolo", tmp_path / "out", CLASSES) as saver, pytest.raises(DataError):
        saver.add(image(file))
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (image("a.png", SavedObject(2, BOX.box)), "object 1 has the class 2, and there are 2"),
        (image("a.png", SavedObject(0, (4, 1, 1, 3))), "is no box"),
        (image("a.png", SavedObject(0, (0, 0, float("nan"), 3))), "is no box"),
        (image("a.png", SavedObject(0, BOX.box, mask=np.ones((6, 4), bool))), "the mask is"),
        (image("a.png", label=1), "cannot hold what was found: class"),
        (SavedImage("a.png", 0, 4), "is 0 x 4 pixels"),
    ],
)
def test_wrong_records_are_refused_and_leave_nothing(tmp_path: Path, wrong: SavedImage, match: str):
    with open_saver("coco", tmp_path, CLASSES) as saver:
        with pytest.raises(DataError, match=match):
            saver.add(wrong)
        assert not saver.done


@pytest.mark.parametrize("name", ["yolo", "voc"])
def test_formats_that_name_labels_by_stem_refuse_a_second_one(tmp_path: Path, name: str):
    with open_saver(name, tmp_path, CLASSES) as saver:
        saver.add(image("a.png", BOX))
        with pytest.raises(DataError, match="has this name without its suffix"):
            saver.add(image("a.jpg"))
        saver.add(image("b.jpg"))


@pytest.mark.parametrize("classes", [("cat", "cat"), ("",), (" cat",), ("a\nb",)])
def test_names_of_classes_that_labels_cannot_hold_are_refused(tmp_path: Path, classes):
    with pytest.raises(UsageError, match="class"):
        open_saver("coco", tmp_path, classes)


def test_images_are_laid_in_without_taking_room(tmp_path: Path, photo: Path):
    with open_saver("coco", tmp_path / "out", CLASSES) as saver:
        saver.add(image("day/a.png", source=photo))
    assert (tmp_path / "out/images/day/a.png").samefile(photo)


def test_what_a_format_cannot_hold_is_said(tmp_path: Path):
    whole, part = np.ones((4, 6), bool), np.zeros((4, 6), bool)
    part[1, 1:3] = True
    objects = (SavedObject(0, (0, 0, 6, 4), mask=whole), SavedObject(1, (1, 1, 3, 2), mask=part))
    with open_saver("voc", tmp_path / "voc", CLASSES) as saver:
        saver.add(image("a.png", *objects))
        (line,) = saver.notes.lines()
    assert line == "masks cut by smaller ones, since a map holds one: 1 (first: a.png)"
    with open_saver("yolo", tmp_path / "yolo", CLASSES) as saver:
        saver.add(image("a.png", SavedObject(0, (-2, 0, 3, 4))))
        (line,) = saver.notes.lines()
    assert line.startswith("boxes cut at the image's edge: 1")


def test_masks_beyond_voc_s_last_number_are_left_out_and_counted(tmp_path: Path):
    pixel = np.zeros((4, 6), bool)
    pixel[0, 0] = True
    objects = [SavedObject(0, (0, 0, 1, 1), mask=pixel)] * 256
    with open_saver("voc", tmp_path, CLASSES) as saver:
        saver.add(image("a.png", *objects))
        assert any("after the 254th" in line for line in saver.notes.lines())


def test_an_outline_goes_around_parts_and_holes():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    points = outline(ring)
    assert points.min() == 0 and points.max() == 3
    x, y = points.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert area in (8, 10)  # a hole counts against its outside, or for it, by direction
    assert outline(np.zeros((2, 2), bool)).shape == (0, 2)


def test_a_copy_follows_no_link(tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*given: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "out/images").mkdir(parents=True)
    (tmp_path / "out/images/a.png").symlink_to(tmp_path / "planted.png")
    with open_saver("coco", tmp_path / "out", CLASSES) as saver:
        saver.add(image("a.png", source=photo))
    assert not (tmp_path / "planted.png").exists()
    assert (tmp_path / "out/images/a.png").read_bytes() == photo.read_bytes()
