"""COCO files as other tools write them: repaired where the meaning is plain, or refused by name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kivfm_core.data.formats.coco import CocoData, read_coco
from kivfm_core.errors import DataError
from kivfm_core.scenes.coco import encode_mask

MASK = np.zeros((6, 8), bool)
MASK[1:4, 2:6] = True
POLYGON = [2, 1, 6, 1, 6, 4, 2, 4]


def content() -> dict[str, Any]:
    """Two images of 8 x 6, two categories, two objects."""
    return {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 8, "height": 6},
            {"id": 2, "file_name": "b.png", "width": 8, "height": 6},
        ],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 3, "bbox": [2, 1, 4, 3],
             "segmentation": [POLYGON], "iscrowd": 0},
            {"id": 8, "image_id": 2, "category_id": 4, "bbox": [0, 0, 2, 2]},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }  # fmt: skip


def write(folder: Path, data: Any, encoding: str = "utf-8") -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 6)).save(folder / "images" / name)
    (folder / "instances.json").write_text(json.dumps(data), encoding=encoding)
    return folder


def read(folder: Path, data: Any, encoding: str = "utf-8") -> CocoData:
    found = read_coco(write(folder, data, encoding))
    assert found is not None
    return found


def changed(path: str, value: Any) -> dict[str, Any]:
    """The content with one value changed; `del` takes it away."""
    data = content()
    *way, last = path.split(".")
    place: Any = data
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    key = int(last) if last.isdigit() else last
    if value == "del":
        del place[key]
    else:
        place[key] = value
    return data


def test_a_plain_file_is_read_without_notes(tmp_path: Path):
    data = read(tmp_path, content())
    assert data.notes == () and [path.name for path in data.paths] == ["a.png", "b.png"]
    assert (data.mask(0, data.annotations[0][0]) == MASK).all()


@pytest.mark.parametrize(
    ("path", "value", "note"),
    [
        ("annotations.0.bbox", None, "boxes taken from the masks: 1 (first: annotation 7)"),
        ("annotations.0.bbox", "del", "boxes taken from the masks"),
        ("annotations.0.bbox", [], "boxes taken from the masks"),
        ("annotations.0.bbox", ["2", "1", "4", "3"], ""),
        ("annotations.0.segmentation", POLYGON, "a polygon without the list around it"),
        ("annotations.0.segmentation", encode_mask(MASK), ""),
        ("annotations.0.segmentation", [POLYGON, [1, 2, 3, 4]], "polygons of fewer than three"),
        ("annotations.0.segmentation", [POLYGON, []], "polygons of fewer than three"),
        ("annotations.0.id", "del", ""),
        ("annotations.0.id", 8, ""),
        ("annotations.0.area", None, ""),
        ("images.0.width", "8", ""),
        ("images.0.width", 8.0, ""),
        ("images.0.width", None, "image sizes taken from the images"),
        ("images.0.height", "del", "image sizes taken from the images"),
        ("images.0.file_name", "images\\a.png", "image names that stand otherwise"),
        ("images.0.file_name", "C:\\data\\images\\a.png", "image names that stand otherwise"),
        ("images.0.file_name", "/home/me/a.png", "image names that stand otherwise"),
        ("images.0.file_name", "A.PNG", "image names that stand otherwise"),
        ("images.0.file_name", "%61.png", "image names that stand otherwise"),
    ],
)
def test_plain_meanings_are_repaired_and_counted(tmp_path: Path, path: str, value: Any, note: str):
    data = read(tmp_path, changed(path, value))
    assert (note in "\n".join(data.notes)) if note else data.notes == ()
    first = data.annotations[0][0]
    assert first["bbox"] == [2, 1, 4, 3] and data.size(0) == (6, 8)
    assert data.paths[0].resolve() == (tmp_path / "images/a.png").resolve()
    assert (data.mask(0, first) == MASK).all()


@pytest.mark.parametrize("ids", [("a.png", "b"), (2**63, -5), ("1", 1), (0, 2**200)])
def test_ids_are_keys(tmp_path: Path, ids: tuple[Any, Any]):
    data = content()
    for image, item, own in zip(data["images"], data["annotations"], ids, strict=True):
        image["id"] = item["image_id"] = own
    for category, item, own in zip(data["categories"], data["annotations"], ids, strict=True):
        category["id"] = item["category_id"] = own
    found = read(tmp_path, data)
    names = [[found.names[item["category_id"]] for item in items] for items in found.annotations]
    assert names == [["cat"], ["dog"]]


@pytest.mark.parametrize("crowd", [0, "0", False, None, "false", "del"])
def test_no_crowd_in_any_spelling(tmp_path: Path, crowd: Any):
    assert len(read(tmp_path, changed("annotations.0.iscrowd", crowd)).instances(0)) == 1


@pytest.mark.parametrize("crowd", [1, "1", True, "true"])
def test_a_crowd_in_any_spelling(tmp_path: Path, crowd: Any):
    assert read(tmp_path, changed("annotations.0.iscrowd", crowd)).instances(0) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("annotations.0.bbox", [2, 1, -4, 3], r"annotation 7: bbox is \[2, 1, -4, 3\]"),
        ("annotations.0.bbox", [2, 1, 4], "annotation 7: bbox"),
        ("annotations.0.bbox", "wide", "annotation 7: bbox is 'wide'"),
        ("annotations.0.bbox", [2, 1, "x", 3], "annotation 7: bbox"),
        ("annotations.0.bbox", [2, 1, float("nan"), 3], "annotation 7: bbox"),
        ("annotations.0.bbox", [2, 1, float("inf"), 3], "annotation 7: bbox"),
        ("annotations.0.iscrowd", "maybe", "annotation 7: iscrowd is 'maybe'"),
        ("annotations.0.segmentation", {"size": [5, 8], "counts": [40]}, "annotation 7.*size"),
        ("annotations.0.segmentation", {"size": [6, 8], "counts": [40]}, "annotation 7.*cover"),
        ("annotations.0.segmentation", {"size": [6, 8], "counts": "0"}, "annotation 7.*cover"),
        ("annotations.0.segmentation", {"counts": [48]}, "annotation 7.*neither polygons"),
        ("annotations.0.segmentation", 5, "annotation 7: segmentation is 5"),
        ("annotations.0.image_id", True, "annotation 7: image_id is True"),
        ("annotations.0.image_id", "del", "annotation 7: image_id is 'missing'"),
        ("annotations.0", 5, "annotation number 1: the record is 5"),
        ("annotations", {}, "its annotation records are not a list"),
        ("images.0.width", 0, "image 1: width is 0"),
        ("images.0.width", "wide", "image 1: width is 'wide'"),
        ("images.0.file_name", "del", "image 1: file_name is 'missing'"),
        ("images.1.id", 1, "two image records have the id 1"),
        ("categories.1.id", 3, "two category records have the id 3"),
        ("categories.0.name", "del", "category 3: name is 'missing'"),
        ("categories.0.name", 5, "category 3: name is 5"),
    ],
)
def test_what_has_no_plain_meaning_is_refused_by_name(
    tmp_path: Path, path: str, value: Any, message: str
):
    with pytest.raises(DataError, match=rf"instances\.json.*{message}"):
        read(tmp_path, changed(path, value))


@pytest.mark.parametrize(
    ("field", "note"),
    [("image_id", "images that the file does not list"), ("category_id", "categories that the")],
)
def test_strays_are_passed_over_and_counted(tmp_path: Path, field: str, note: str):
    data = read(tmp_path, changed(f"annotations.0.{field}", 777))
    assert data.annotations[0] == [] and note in data.notes[0] and "annotation 7" in data.notes[0]


def test_nothing_that_says_where_is_passed_over(tmp_path: Path):
    data = read(tmp_path, changed("annotations.1.bbox", None))
    assert data.annotations[1] == [] and "neither box nor mask" in data.notes[0]


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path):
    Image.new("RGB", (8, 6)).save(tmp_path / "secret.png")
    data = read(tmp_path / "data", changed("images.0.file_name", "../../secret.png"))
    assert not data.paths[0].exists() and "not there" in data.notes[0]


def test_missing_images_are_named(tmp_path: Path):
    folder = write(tmp_path, content())
    for path in (folder / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"its 2 images are not there: a\.png, b\.png"):
        read_coco(folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_are_read_as_utf_8(tmp_path: Path, encoding: str):
    data = changed("categories.0.name", "Äpfel")
    write(tmp_path, data)
    text = json.dumps(data, ensure_ascii=False)
    (tmp_path / "instances.json").write_text(text, encoding=encoding)
    found = read_coco(tmp_path)
    assert found is not None and "Äpfel" in found.names.values()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "lacks COCO's"),
        (b"{}", "lacks COCO's"),
    ],
)
def test_files_that_are_none_say_so(tmp_path: Path, raw: bytes, message: str):
    write(tmp_path, content())
    (tmp_path / "instances.json").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        read_coco(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = "id image_id category_id bbox segmentation iscrowd area"
PLACES = [
    *(f"annotations.0.{field}" for field in FIELDS.split()),
    *(f"images.0.{field}" for field in ("id", "file_name", "width", "height")),
    *("categories.0.id", "categories.0.name", "annotations.0", "images.0", "categories.0"),
    *("annotations", "images", "categories"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_anywhere_is_data_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, path: str, value: Any
):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    try:
        found = read(folder, changed(path, copy.deepcopy(value)))
    except DataError as error:
        assert any(part in error.message for part in ("instances.json", "cannot open", "pixels"))
        return
    for index in range(len(found.paths)):
        for item in found.instances(index):
            assert found.mask(index, item).shape == found.size(index)
