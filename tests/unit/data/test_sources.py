"""Sources: every format is recognized, and says so where it is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.coco import VOID, CocoData
from kivfm_core.data.formats.masks import MaskData
from kivfm_core.data.label_spaces import label_names, match, normalized
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.data.sources import find_data, load_data, parse_data, parse_source
from kivfm_core.errors import DataError, UsageError
from kivfm_core.scenes.coco import encode_mask
from kivfm_core.scenes.write import write_scenes
from kivfm_core.tasks.table import KNN, TASKS


def write_image(path: Path, size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def coco(folder: Path, annotations: list[dict[str, Any]], categories: list[str]) -> Path:
    """One image of 8 x 6 with annotations of category ids 10, 11, ..."""
    write_image(folder / "images/a.png")
    content = {
        "images": [{"id": 5, "file_name": "a.png", "width": 8, "height": 6}],
        "annotations": [{"id": i, "image_id": 5, **a} for i, a in enumerate(annotations)],
        "categories": [{"id": 10 + i, "name": name} for i, name in enumerate(categories)],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def load(path: Path, task: str) -> Any:
    return load_data(parse_source(str(path)), MEASURED[task])


MEASURED = {**TASKS, "knn": KNN}
BOX = [2, 1, 4, 3]  # x, y, w, h
POLYGON = [[2, 1, 6, 1, 6, 4, 2, 4]]
MASK = np.zeros((6, 8), bool)
MASK[1:4, 2:6] = True


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, train=1, val=4, per_class=2)
    return folder / "val"


def test_every_task_finds_its_data_in_the_scenes(scenes: Path) -> None:
    assert len(load(scenes, "detection").paths) == 4
    assert load(scenes, "instance-segmentation").has_masks
    assert isinstance(load(scenes, "promptable-segmentation"), CocoData)
    assert isinstance(load(scenes, "semantic-segmentation"), MaskData)
    for task in ("zero-shot", "classification", "knn"):
        data = load(scenes, task)
        assert len(data.classes) == 48 and len(data.paths) == 96


def test_semantic_masks_agree_with_painted_instances(scenes: Path) -> None:
    masks, instances = (
        load(scenes, "semantic-segmentation"),
        find_data(parse_source(f"coco:{scenes}"), MEASURED["semantic-segmentation"]),
    )
    assert isinstance(instances, CocoData)
    for index in range(len(masks.paths)):
        a = masks.semantic(index, masks.classes)
        b = instances.semantic(index, masks.classes)
        assert np.array_equal(a[a > 0], b[a > 0])
        assert (b[a == 0] == 0).all()


def test_polygons_and_both_run_lengths_give_one_mask(tmp_path: Path) -> None:
    from faster_coco_eval.core import mask as codec

    plain = encode_mask(MASK)
    packed = codec.frPyObjects(plain, 6, 8)  # type: ignore[arg-type]
    text = {**packed, "counts": packed["counts"].decode()}  # type: ignore[union-attr]
    for segmentation in (POLYGON, plain, text):
        entry = {"category_id": 10, "bbox": BOX, "segmentation": segmentation}
        data = load(coco(tmp_path, [entry], ["cat"]), "instance-segmentation")
        assert np.array_equal(data.mask(0, data.instances(0)[0]), MASK)


def test_instances_painted_by_name_with_crowds_void(tmp_path: Path) -> None:
    small = encode_mask(np.pad(np.ones((1, 1), bool), ((2, 3), (3, 4))))
    crowd = encode_mask(np.eye(6, 8, dtype=bool) & (np.arange(8) == 0))
    entries = [
        {"category_id": 11, "bbox": [3, 2, 1, 1], "segmentation": small},
        {"category_id": 10, "bbox": BOX, "segmentation": POLYGON},
        {"category_id": 10, "bbox": [0, 0, 1, 1], "segmentation": crowd, "iscrowd": 1},
        {"category_id": 12, "bbox": [0, 5, 8, 1], "segmentation": [[0, 5, 8, 5, 8, 6, 0, 6]]},
    ]
    data = load(coco(tmp_path, entries, ["airplane", "tv", "ufo"]), "semantic-segmentation")
    target = data.semantic(0, ("__background__", "aeroplane", "tvmonitor"))
    expected = np.where(MASK, 1, 0)
    expected[2, 3] = 2  # the smaller lies on the larger
    expected[0, 0] = VOID
    assert np.array_equal(target, expected)
    without = data.semantic(0, ("aeroplane", "tvmonitor"))
    assert np.array_equal(without == VOID, expected <= 0)


def test_semantic_masks_by_name_with_void(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.jpg", (3, 1))
    (tmp_path / "semantic").mkdir()
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "semantic/a.png")
    with pytest.raises(DataError, match="does not name its classes"):
        load(tmp_path, "semantic-segmentation")
    (tmp_path / "semantic/classes.json").write_text('["Background", "sofa"]')
    data = load(tmp_path, "semantic-segmentation")
    assert data.semantic(0, ("couch", "background")).tolist() == [[1, 0, VOID]]


def test_a_mask_folder_beside_the_images(tmp_path: Path) -> None:
    write_image(tmp_path / "val/a.png", (2, 1))
    write_image(tmp_path / "valannot/a.png")
    Image.fromarray(np.array([[1, 11]], np.uint8)).save(tmp_path / "valannot/a.png")
    (tmp_path / "classes.json").write_text('["sky", "road"]')
    data = load(tmp_path / "val", "semantic-segmentation")
    assert data.semantic(0, ("road",)).tolist() == [[0, VOID]]
    assert find_data(parse_source(str(tmp_path)), MEASURED["classification"]) is None


def test_labels_by_index_and_by_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write_image(tmp_path / name)
    (tmp_path / "labels.json").write_text('{"a.jpg": 7, "b.jpg": 0}')
    data = load(tmp_path, "classification")
    assert data == ClassData((tmp_path / "a.jpg", tmp_path / "b.jpg"), (7, 0), None)
    (tmp_path / "labels.json").write_text('{"a.jpg": "dog", "b.jpg": "cat"}')
    data = load(tmp_path, "classification")
    assert (data.targets, data.classes) == ((1, 0), ("cat", "dog"))
    (tmp_path / "labels.json").write_text('["dog"]')
    with pytest.raises(DataError, match="not a map"):
        load(tmp_path, "classification")


def test_boxes_alone_serve_detection_only(tmp_path: Path) -> None:
    coco(tmp_path, [{"category_id": 10, "bbox": BOX}], ["cat"])
    assert len(load(tmp_path, "detection").paths) == 1
    with pytest.raises(DataError, match=r"looked for instances\.json .* with masks"):
        load(tmp_path, "instance-segmentation")


def test_the_usual_place_of_annotations(tmp_path: Path) -> None:
    coco(tmp_path, [], ["cat"])
    (tmp_path / "images").rename(tmp_path / "val2017")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "instances.json").rename(tmp_path / "annotations/instances_val2017.json")
    assert load(tmp_path, "detection").paths == (tmp_path / "val2017/a.png",)


def test_missing_images_are_an_error(tmp_path: Path) -> None:
    coco(tmp_path, [], ["cat"])
    (tmp_path / "images/a.png").unlink()
    with pytest.raises(DataError, match="images are not there"):
        load(tmp_path, "detection")


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.json .* or a folder of images for each class"):
        load(tmp_path, "zero-shot")
    with pytest.raises(DataError, match="no such data"):
        parse_source(str(tmp_path / "none"))


def test_sources_of_all_and_of_one_task(tmp_path: Path) -> None:
    parsed = parse_data(
        [str(tmp_path), f"detection=coco:{tmp_path}", f"detection={tmp_path}"], MEASURED
    )
    assert [s.format for s in parsed["detection"]] == ["coco", None]
    assert [s.path for s in parsed[""]] == [tmp_path]
    with pytest.raises(UsageError, match="unknown task 'detektion'") as caught:
        parse_data([f"detektion={tmp_path}"], MEASURED)
    assert caught.value.hint == "did you mean detection?"


def test_a_limit_keeps_every_class(tmp_path: Path) -> None:
    for name in "abc":
        for i in range(4):
            write_image(tmp_path / name / f"{i}.png")
    data = load_data(parse_source(str(tmp_path)), KNN, limit=6)
    assert isinstance(data, ClassData)
    assert data.targets == (0, 0, 1, 1, 2, 2)


def test_names_meet_in_spite_of_spelling() -> None:
    assert match(["Dining_Table", "tv", "ufo"], ["diningtable", "tvmonitor"]) == [0, 1, None]
    assert normalized("__background__") == "background"


def test_known_label_spaces() -> None:
    coco_91, voc = label_names("coco-91"), label_names("voc-21")
    assert coco_91 and voc and (len(coco_91), len(voc)) == (91, 21)
    assert len(label_names("imagenet-1k") or ()) == 1000
    coco_80 = label_names("coco-80") or ()
    assert len(coco_80) == 80 and (coco_80[0], coco_80[-1]) == ("person", "toothbrush")
    assert [name for name in coco_91 if name in coco_80] == list(coco_80)
    assert label_names("open") is None and label_names(("a", "b")) == ("a", "b")
    assert None not in match(list(voc), coco_91)  # every VOC class is a COCO class


def test_broken_images_are_skipped_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    reader = ImageReader(20)
    assert reader.open(write_image(tmp_path / "fine.png")) is not None
    for _ in range(10):
        assert reader.open(tmp_path / "broken.jpg") is None
    with pytest.raises(DataError, match="11 of the first 12 images are broken"):
        reader.open(tmp_path / "broken.jpg")


def test_names_that_differ_in_signs_only_stay_apart() -> None:
    names = ("C", "C#", "C++", "###", "+++")
    assert match(names, names) == [0, 1, 2, 3, 4]
    assert match(["c"], names) == [0] and match(["---"], names) == [None]


def test_wordnet_ids_are_found_among_imagenets_classes() -> None:
    space = label_names("imagenet-1k")
    assert space is not None
    tench, toilet_tissue = match(["n01440764", "n15075141"], space)
    assert (tench, toilet_tissue) == (0, 999) and space[0] == "tench"
    assert match(["n00000000"], space) == [None]
    assert match(["n01440764"], ["tench", "cat"]) == [None]


@pytest.mark.parametrize("text", ["~/x", "coco:~/x", "detection=~/x", "detection=coco:~/x"])
def test_a_home_folder_is_found_wherever_it_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "x").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    ((source,),) = parse_data([text], MEASURED).values()
    assert source.path == tmp_path / "x"
