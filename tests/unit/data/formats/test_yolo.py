"""YOLO's labels as tools write them, and YAML that means harm."""

from pathlib import Path

import pytest
from PIL import Image

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.data.formats.yolo import read_yolo
from kivfm_core.errors import DataError

HEAD = "train: images\nval: images\nnames: [cat, dog]\n"


def write(
    root: Path, head: str = HEAD, labels: str | None = "0 0.5 0.5 0.5 0.5\n", at: str = "images"
):
    folder = root / at
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 4)).save(folder / "a.jpg")
    (root / "data.yaml").write_text(head, encoding="utf-8")
    if labels is not None:
        file = root / at.replace("images", "labels") / "a.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(labels)
    return root


def read(path: Path) -> CocoData:
    found = read_yolo(path)
    assert found is not None
    return found


def test_boxes_and_outlines(tmp_path: Path):
    lines = "1 0.5 0.5 0.5 0.5\n\n0 0 0 0.25 0 0.25 0.5 0 0.5\n"
    data = read(write(tmp_path, labels=lines))
    first, second = data.annotations[0]
    assert [data.names[item["category_id"]] for item in (first, second)] == ["dog", "cat"]
    assert first["bbox"] == [2, 1, 4, 2] and first["segmentation"] is None
    assert second["bbox"] == [0, 0, 2, 2]
    mask = data.mask(0, second)
    assert mask[:2, :2].all() and mask.sum() == 4


@pytest.mark.parametrize(
    ("head", "at"),
    [
        ("names: {0: cat, 1: dog}\nval: ../valid/images", "valid/images"),
        ("names: [cat]\npath: /home/me/datasets/pets\nval: images/val", "images/val"),
        ("names: [cat]\npath: ../datasets/pets\nval: C:\\data\\images\\val", "images/val"),
        ("names: [cat]\nval: [images/one, images/two]", "images/two"),
        ("names: [cat]\ntrain: images/train\nval:\n", "images/train"),
        ("names: [cat]\nval: images/val\ntrain: images/train", "images/train"),
        ("names: [cat]\ntrain: photos", "photos"),
    ],
)
def test_folders_as_tools_write_them(tmp_path: Path, head: str, at: str):
    data = read(write(tmp_path, head, at=at))
    assert data.paths == (tmp_path / at / "a.jpg",)
    assert len(data.annotations[0]) == 1


def test_a_text_file_may_list_the_images(tmp_path: Path):
    write(tmp_path, "names: [cat]\nval: val.txt", at="images/val")
    (tmp_path / "val.txt").write_text("./images/val/a.jpg\n/other/images/val/b.jpg\n")
    data = read(tmp_path / "data.yaml")
    assert data.paths == (tmp_path / "images/val/a.jpg",)
    assert len(data.annotations[0]) == 1


def test_an_image_without_labels_shows_nothing(tmp_path: Path):
    data = read(write(tmp_path, labels=None))
    assert data.annotations == ([],)
    assert data.notes == ("images without a label file, read as showing nothing: 1 (first: a.jpg)",)


def test_scores_are_passed_over_and_counted(tmp_path: Path):
    data = read(write(tmp_path, labels="0 0.5 0.5 0.5 0.5 0.9\n"))
    assert data.annotations[0][0]["bbox"] == [2, 1, 4, 2]
    assert data.notes[0].startswith("scores, passed over: 1 (first: ")


def test_broken_images_are_passed_over_and_counted(tmp_path: Path):
    write(tmp_path)
    (tmp_path / "images/b.jpg").write_text("no image")
    data = read(tmp_path)
    assert len(data.paths) == 1
    assert data.notes == ("images that cannot be opened, passed over: 1 (first: b.jpg)",)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("0 0.5 0.5 0.5", "4 numbers are no class and box"),
        ("0 0.5 0.5 half 0.5", "are not numbers"),
        ("2 0.5 0.5 0.5 0.5", "the class 2 is not in data.yaml"),
        ("0.5 0.5 0.5 0.5 0.5", "the class 0.5 is not in data.yaml"),
        ("0 40 20 10 10", "a coordinate is not between 0 and 1"),
        ("0 nan 0.5 0.5 0.5", "a coordinate is not between 0 and 1"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, match: str):
    write(tmp_path, labels=f"0 0.5 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(DataError, match=match) as caught:
        read_yolo(tmp_path)
    assert "a.txt, line 2" in caught.value.message


@pytest.mark.parametrize(
    ("head", "match"),
    [
        ("names: [cat", "is not YAML"),
        ("val: images", "has no names of classes"),
        ("names: [cat]", "names no images"),
        ("names: {cat: 0}\nval: images", "its head: names is"),
        ("names: [cat]\nval: 7", "its head: val is 7"),
        ("names: [cat]\nval: nowhere", "there is no nowhere"),
        ("names: !!python/object/apply:os.system ['touch harm']\nval: images", "is not YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]\nval: images", "has references"),
    ],
)
def test_wrong_heads_are_named(tmp_path: Path, head: str, match: str):
    write(tmp_path, head)
    with pytest.raises(DataError, match=match) as caught:
        read_yolo(tmp_path)
    assert "data.yaml" in caught.value.message
    assert not Path("harm").exists()


def test_paths_lead_to_no_file_outside(tmp_path: Path):
    write(tmp_path / "secret")
    write(tmp_path / "pets", "names: [cat]\nval: ../secret/images")
    # The last part of the path is in the folder, and is what is meant.
    assert read(tmp_path / "pets").paths == (tmp_path / "pets/images/a.jpg",)
    write(tmp_path / "cats", "names: [cat]\nval: ../secret", at="photos")
    with pytest.raises(DataError, match="there is no"):
        read_yolo(tmp_path / "cats")


def test_other_yaml_is_no_yolo(tmp_path: Path):
    file = tmp_path / "other.yaml"
    file.write_text("a: 1")
    assert read_yolo(file) is None and read_yolo(tmp_path) is None
