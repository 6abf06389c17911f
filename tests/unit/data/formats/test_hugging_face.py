"""Hugging Face datasets on disk: classes, objects, and what strangers write."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from toy_arrow import IMAGE, save_to_disk, write_arrow
from toy_tars import picture

from kivfm_cli.app import main
from kivfm_core.data.formats.hugging_face import read_hf_classes, read_hf_objects
from kivfm_core.data.members import open_at, size_at
from kivfm_core.errors import DataError

NAMES = {"_type": "ClassLabel", "names": ["cat", "dog"]}
CLASSES = {"image": {"_type": "Image"}, "label": NAMES}
OBJECTS = {
    "image": {"_type": "Image"},
    "objects": {
        "bbox": {"_type": "List", "feature": {"_type": "List", "feature": {"_type": "Value"}}},
        "category": {"_type": "List", "feature": NAMES},
    },
}
LISTED = {"image": {"_type": "Image"}, "objects": {"_type": "List", "feature": {"category": NAMES}}}
RECORDS = pa.list_(pa.struct({"bbox": pa.list_(pa.float32()), "category": pa.int64()}))


def info(features: dict[str, Any], **label) -> str:
    return json.dumps({"features": {**features, "label": {**NAMES, **label}}})


def shades(paths: tuple[Path, ...]) -> list[Any]:
    return [open_at(path).getpixel((0, 0))[0] for path in paths]  # type: ignore[index]


def test_classes_are_read_with_their_images(tmp_path: Path):
    rows = [{"image": picture(10 * i, 4 + i), "label": i % 2} for i in range(5)]
    rows.insert(2, {"image": picture(9), "label": -1})
    data = read_hf_classes(save_to_disk(tmp_path / "pets", CLASSES, rows))
    assert data is not None
    assert data.classes == ("cat", "dog") and data.targets == (0, 1, 0, 1, 0)
    assert shades(data.paths) == [0, 10, 20, 30, 40]
    assert [size_at(path) for path in data.paths] == [(4 + i, 4 + i) for i in range(5)]
    assert data.notes == ("images without a class, passed over: 1 (first: data-0.arrow, row 3)",)
    assert read_hf_objects(tmp_path / "pets") is None
    assert read_hf_classes(tmp_path) is None


@pytest.mark.parametrize("listed", [False, True])
def test_objects_are_read_from_either_layout(tmp_path: Path, listed: bool):
    boxes, classes = [[1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 3.0]], [1, 0]
    records = [{"bbox": b, "category": c} for b, c in zip(boxes, classes, strict=True)]
    found: Any = records if listed else {"bbox": boxes, "category": classes}
    none: Any = [] if listed else {"bbox": [], "category": []}
    rows = [{"image": picture(7), "objects": none}, {"image": picture(8), "objects": found},
            {"image": b"no image", "objects": none}, {"image": None, "objects": none}]  # fmt: skip
    types = {"types": {"image": IMAGE, "objects": RECORDS}} if listed else {}
    data = read_hf_objects(save_to_disk(tmp_path, LISTED if listed else OBJECTS, rows, **types))
    assert data is not None and not data.has_masks
    assert shades(data.paths) == [7, 8] and data.classes == ("cat", "dog")
    assert [item["bbox"] for item in data.annotations[1]] == boxes
    assert [data.names[item["category_id"]] for item in data.annotations[1]] == ["dog", "cat"]
    assert data.notes == (
        "images that cannot be opened, passed over: 2 (first: data-0.arrow, row 3)",
    )


def test_a_split_is_named(tmp_path: Path, capsys):
    rows = [{"image": picture(i), "label": 0} for i in range(2)]
    for split in ("train", "test"):
        save_to_disk(tmp_path / split, CLASSES, rows)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(DataError, match="several splits: train, test") as caught:
        read_hf_classes(tmp_path)
    assert str(tmp_path / "train") in str(caught.value.hint)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["test"]}')
    assert read_hf_classes(tmp_path) is not None
    sheet = str(tmp_path.parent / f"{tmp_path.name}.png")
    assert main(["data", "check", str(tmp_path / "test"), "-o", sheet]) == 0
    assert "classification, zero-shot, knn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("state.json", '{"_data_files": [{"filename": "../x"}]}', "is no file of this folder"),
        ("state.json", '{"_data_files": [{"filename": 7}]}', "7 is no file of this folder"),
        ("state.json", "[]", "names no files"),
        ("state.json", "{", "is not JSON"),
        ("state.json", '{"_data_files": [{"filename": "no.arrow"}]}', r"cannot read .*no\.arrow"),
        ("data-0.arrow", "no arrow", r"cannot read .*data-0\.arrow"),
        ("dataset_info.json", info(CLASSES, names=3),
         "are no list of names"),
        ("dataset_info.json", info({"x": {"_type": "Image"}}),
         "cannot read"),
        ("dataset_info.json", info(CLASSES, names=[]),
         r"row 1: label is 0, and there are 0 classes"),
    ],
)  # fmt: skip
def test_what_strangers_write_is_named(tmp_path: Path, file: str, content: str, match: str):
    save_to_disk(tmp_path, CLASSES, [{"image": picture(), "label": 0}])
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=match):
        read_hf_classes(tmp_path)


def test_links_are_not_followed(tmp_path: Path):
    save_to_disk(tmp_path / "a", CLASSES, [{"image": picture(), "label": 0}])
    (tmp_path / "a/data-0.arrow").rename(tmp_path / "away.arrow")
    (tmp_path / "a/data-0.arrow").symlink_to(tmp_path / "away.arrow")
    with pytest.raises(DataError, match="is no file of this folder"):
        read_hf_classes(tmp_path / "a")


@pytest.mark.parametrize(
    ("box", "category", "match"),
    [([1, 1, -2, 2], 0, "row 1, object 1: bbox is"), ([1, 1], 0, "object 1: bbox"),
     ([1, 1, 2, 2], 9, "category is 9"), ([], 0, "bbox is 'missing'")],
)  # fmt: skip
def test_wrong_objects_are_named(tmp_path: Path, box: list[float], category: int, match: str):
    rows = [{"image": picture(), "objects": {"bbox": [box], "category": [category]}}]
    with pytest.raises(DataError, match=match):
        read_hf_objects(save_to_disk(tmp_path, OBJECTS, rows))


def test_damaged_tables_are_errors_not_crashes(tmp_path: Path):
    save_to_disk(tmp_path, CLASSES, [{"image": picture(i), "label": 0} for i in range(6)])
    file = tmp_path / "data-0.arrow"
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            data = read_hf_classes(tmp_path)
            for path in data.paths if data else ():
                size_at(path)
        except DataError:
            pass


def test_rows_that_are_not_there_are_errors(tmp_path: Path):
    file = write_arrow(tmp_path / "a.arrow", [{"image": None, "label": 0}])
    for row in ("00000000", "00000001"):
        with pytest.raises(DataError, match="has no image in row"):
            open_at(file / "image" / row)
