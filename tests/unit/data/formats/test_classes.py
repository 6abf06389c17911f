"""Images with one class each, as people keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kivfm_core.data.formats.folder import read_folder
from kivfm_core.data.formats.labels import read_labels
from kivfm_core.errors import DataError
from kivfm_core.tasks.meters.classification import Classification
from kivfm_core.tasks.meters.zero_shot import ZeroShot


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def test_a_hidden_folder_is_no_class(tmp_path: Path):
    write(tmp_path, "cat/a.jpg", "dog/b.jpg", ".ipynb_checkpoints/a.jpg", "cat/.cache/c.jpg")
    data = read_folder(tmp_path)
    assert data is not None and data.classes == ("cat", "dog") and len(data.paths) == 2


@pytest.mark.parametrize("end", ["jpg", "JPG", "png", "webp", "gif", "tiff", "avif", "jp2"])
def test_images_of_every_kind_and_depth_are_found(tmp_path: Path, end: str):
    write(tmp_path, "cat/a.jpg", f"dog/deep/er/b.{end}")
    (tmp_path / "dog/notes.txt").write_text("x")
    data = read_folder(tmp_path)
    assert data is not None and [data.targets[1], data.paths[1].name] == [1, f"b.{end}"]
    assert data.notes == ("files that are no images, passed over: 1 (first: dog/notes.txt)",)


def test_a_jfif_is_an_image(tmp_path: Path):
    write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "dog/b.jpg").rename(tmp_path / "dog/b.jfif")
    data = read_folder(tmp_path)
    assert data is not None and len(data.paths) == 2


def labels(folder: Path, content: Any) -> Path:
    write(folder, "a.jpg", "b.jpg")
    (folder / "labels.json").write_text(json.dumps(content), encoding="utf-8-sig")
    return folder


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a.jpg": 1, "b.jpg": "cat"}, "a.jpg is 1"),
        ({"a.jpg": 1, "b.jpg": None}, "b.jpg is None"),
        ({"a.jpg": True, "b.jpg": 1}, "a.jpg is True"),
        (["cat"], "not a map"),
        ({}, "not a map"),
    ],
)
def test_labels_of_two_kinds_are_refused_by_name(tmp_path: Path, content: Any, message: str):
    with pytest.raises(DataError, match=f"labels.json.*{message}"):
        read_labels(labels(tmp_path, content))


def test_missing_images_are_counted(tmp_path: Path):
    data = read_labels(labels(tmp_path, {"a.jpg": "cat", "b.jpg": "dog", "c.jpg": "dog"}))
    assert data is not None and data.notes == ("images that are not there: 1 (first: c.jpg)",)


@pytest.mark.parametrize("index", [5000, 3, -1])
def test_an_index_beyond_the_classes_is_refused_with_its_file(tmp_path: Path, index: int):
    data = read_labels(labels(tmp_path, {"a.jpg": 2, "b.jpg": index}))
    assert data is not None
    with pytest.raises(DataError, match=rf"b\.jpg has the class index {index}"):
        Classification(data, ("cat", "dog", "cow"))


def test_classes_that_differ_in_signs_only_are_told_apart(tmp_path: Path):
    write(tmp_path, "C/a.jpg", "C#/b.jpg", "C++/c.jpg")
    data = read_folder(tmp_path)
    assert data is not None and ZeroShot(data, None).targets == [0, 1, 2]
