"""Hugging Face datasets on disk: classes, objects, maps, and what strangers write."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image
from toy_arrow import IMAGE, POLYGONS, save_to_disk, write_arrow
from toy_tars import picture

from kivfm_cli.app import main
from kivfm_core.data.formats.hugging_face import read_hf_classes, read_hf_masks, read_hf_objects
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
RECORDS = pa.list_(
    pa.struct({"bbox": pa.list_(pa.float32()), "category": pa.int64(), "segmentation": POLYGONS})
)


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


def png(values: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("image", "mask"), [("image", "annotation"), ("pixel_values", "label")])
def test_maps_are_read_as_well_known_sets_have_them(tmp_path: Path, image: str, mask: str):
    maps = [np.full((4, 4), value, np.uint8) for value in (0, 1, 2, 255)]
    maps[1][0, :2] = 2
    rows = [{mask: png(maps[i]), image: picture(10 * i)} for i in range(4)]
    rows.insert(1, {mask: None, image: picture(9)})
    features = {name: {"_type": "Image"} for name in (mask, image)}
    folder = save_to_disk(tmp_path / "val", features, rows, types=dict.fromkeys(features, IMAGE))
    # Beside the split, as in the repository of the whole.
    names = {"0": "unlabeled", "1": "road", "2": "car"}
    (tmp_path / "id2label.json").write_text(json.dumps(names))
    data = read_hf_masks(folder)
    assert data is not None and data.classes == ("road", "car")
    assert shades(data.paths) == [0, 10, 20, 30]
    found = [data.semantic(i, ("car", "road")) for i in range(4)]
    assert [set(values.ravel().tolist()) for values in found] == [{-1}, {0, 1}, {0}, {-1}]
    assert found[1][0].tolist() == [0, 0, 1, 1]
    assert data.notes == ("images without a mask, passed over: 1 (first: data-0.arrow, row 2)",)
    assert read_hf_classes(folder) is None and read_hf_objects(folder) is None
    assert read_hf_masks(tmp_path) is None


@pytest.mark.parametrize(
    ("names", "mask", "match"),
    [
        (None, picture(1), "does not name its classes"),
        ({"0": "road", "1": "road"}, picture(1), "names a class twice"),
        ({"0": "unlabeled"}, picture(1), "is no list of class names"),
        ({"0": "road"}, picture(1, 3), "4 x 4 pixels .* its mask 3 x 3"),
        ({"0": "road"}, b"no image", "cannot open the mask .*data-0.arrow/annotation/00000000"),
        ({"0": "road"}, png(np.zeros((4, 4, 3), np.uint8)), r"has colors \(RGB\)"),
        ({"0": "road"}, None, "has no image with a mask"),
    ],
)
def test_wrong_maps_are_named(tmp_path: Path, names: Any, mask: bytes | None, match: str):
    features = {name: {"_type": "Image"} for name in ("image", "annotation")}
    save_to_disk(tmp_path, features, [{"image": picture(), "annotation": mask}])
    if names:
        (tmp_path / "id2label.json").write_text(json.dumps(names))
    with pytest.raises(DataError, match=match):
        read_hf_masks(tmp_path)


@pytest.mark.parametrize("listed", [False, True])
def test_outlines_of_objects_are_masks(tmp_path: Path, listed: bool):
    square, short = [0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0], [0.0, 0.0, 1.0, 1.0]
    objects = [
        {"bbox": [0.0, 0.0, 2.0, 2.0], "category": 1, "segmentation": [square]},
        {"bbox": [], "category": 0, "segmentation": [square]},
        {"bbox": [0.0, 0.0, 3.0, 3.0], "category": 0, "segmentation": None},
        {"bbox": [], "category": 0, "segmentation": [short]},
    ]
    found: Any = objects if listed else {key: [o[key] for o in objects] for key in objects[0]}
    types = {"types": {"image": IMAGE, "objects": RECORDS}} if listed else {}
    rows = [{"image": picture(7), "objects": found}]
    data = read_hf_objects(save_to_disk(tmp_path, LISTED if listed else OBJECTS, rows, **types))
    assert data is not None and data.has_masks
    boxes = [item["bbox"] for item in data.annotations[0]]
    assert boxes == [[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 3, 3]]
    masks = [data.mask(0, item) for item in data.instances(0)]
    assert [int(mask.sum()) for mask in masks] == [4, 4]
    assert [note.split(" (")[0] for note in data.notes] == [
        "boxes taken from the masks: 1",
        "polygons of fewer than three points, passed over: 1",
        "annotations with neither box nor mask, passed over: 1",
    ]


def test_what_the_library_saves_is_read_back(tmp_path: Path, capsys):
    hf = pytest.importorskip("datasets")
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 3, (6 + i, 8), dtype=np.uint8) for i in range(5)]
    outlines = [[[[0.0, 0.0, 2.0 + i, 0.0, 2.0 + i, 2.0, 0.0, 2.0]]] for i in range(5)]
    category = hf.Sequence(hf.ClassLabel(names=["cat", "dog"]))
    number = hf.Value("float32")
    polygons = hf.Sequence(hf.Sequence(hf.Sequence(number)))
    features = hf.Features(
        image=hf.Image(),
        annotation=hf.Image(),
        objects={"bbox": hf.Sequence(hf.Sequence(number)), "category": category,
                 "segmentation": polygons},
    )  # fmt: skip
    rows = {
        "image": [Image.fromarray(values * 9).convert("RGB") for values in maps],
        "annotation": [Image.fromarray(values) for values in maps],
        "objects": [{"bbox": [[0, 0, 2 + i, 2]], "category": [i % 2], "segmentation": outlines[i]}
                    for i in range(5)],
    }  # fmt: skip
    folder = tmp_path / "set"
    hf.Dataset.from_dict(rows, features).save_to_disk(str(folder))
    (folder / "id2label.json").write_text('{"0": "sky", "1": "road", "2": "car"}')
    data, objects = read_hf_masks(folder), read_hf_objects(folder)
    assert data is not None and objects is not None and not data.notes and not objects.notes
    for index, values in enumerate(maps):
        assert (data.semantic(index, ("sky", "road", "car")) == values).all()
        mask = objects.mask(index, objects.annotations[index][0])
        assert mask[:2, : 2 + index].all() and mask.sum() == 2 * (2 + index)
    assert main(["data", "check", str(folder), "-o", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert "hf-masks" in said and "hf-objects" in said and "instance-segmentation" in said
