"""COCO's figures equal those of a plain re-implementation of its rules, and pycocotools'."""

import json
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from oracle_ap import Kind, Thing
from PIL import Image
from random_coco import Case, paint, random_case, small_cases

from kivfm_core.data.formats.coco import read_coco
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Detections, Instances
from kivfm_core.tasks.meters.coco_ap import AveragePrecision
from kivfm_core.tasks.meters.detection import Detection
from kivfm_core.tasks.meters.instance_segmentation import InstanceSegmentation

KINDS = pytest.mark.parametrize("kind", ["bbox", "segm"])
KNOWN = find_spec("pycocotools") is not None
SPACE = ("bird", "dining table", "dog", "cat")


def check(case: Case, kind: Kind, **given: Any) -> list[float]:
    """All twelve figures of the meter are the oracle's, and pycocotools' where it is installed."""
    expected = case.of_oracle(kind)
    assert case.of_kivfm(kind, **given) == pytest.approx(expected, abs=1e-6)
    if KNOWN:
        assert case.of_pycocotools(kind) == pytest.approx(expected, abs=1e-6)
    return expected


@KINDS
@pytest.mark.parametrize("seed", range(20))
def test_random_images(kind: Kind, seed: int) -> None:
    check(random_case(seed), kind)


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_random_images(kind: Kind, seed: int) -> None:
    check(random_case(seed, images=8, most=20, side=240), kind)


@KINDS
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(case=small_cases())
def test_small_images_on_a_coarse_grid(kind: Kind, case: Case) -> None:
    check(case, kind)


@pytest.mark.slow
@KINDS
@settings(max_examples=2000, deadline=None, derandomize=True, database=None)
@given(case=small_cases())
def test_many_small_images(kind: Kind, case: Case) -> None:
    check(case, kind)


SIZE = (40, 120)


def case(objects: list[dict[str, Any]], found: list[dict[str, Any]], images: int = 1) -> Case:
    """Things in images of 40 x 120; by default a cat of 20 x 20 in the first image's corner."""

    def thing(fields: dict[str, Any]) -> Thing:
        fields = {"image": 0, "box": (0, 0, 20, 20), **fields}
        return Thing(mask=paint(fields["box"], SIZE, round=False), **fields)

    return Case(
        [SIZE] * images,
        list(range(images)),
        [(thing({"label": 0, **fields}), "runs") for fields in objects],
        [thing({"label": 3, "score": 0.5, **fields}) for fields in found],
    )


WIDE = (0, 0, 100, 40)
AWAY = (60, 10, 20, 20)
# What is special, the objects, the detections, how many images there are, and the right AP.
ADVERSARIAL: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], int, float]] = {
    "nothing found": ([{}], [], 2, 0.0),
    "nothing there": ([], [{}], 2, -1.0),
    "only a crowd": ([{"crowd": True}], [{}], 1, -1.0),
    "many in a crowd": ([{}, {"crowd": True, "box": WIDE}], [{"box": AWAY}] * 9 + [{}], 1, 1.0),
    "a crowd is the last choice": ([{"crowd": True, "box": WIDE}, {}], [{}, {}], 1, 1.0),
    "found twice": ([{}], [{"score": 0.9}, {"score": 0.8}], 1, 1.0),
    "equal scores, wrong first": ([{}], [{"box": AWAY}, {}], 1, 0.5),
    "equal scores, right first": ([{}], [{}, {"box": AWAY}], 1, 1.0),
    "equal scores in two images": ([{"image": 1}], [{}, {"image": 1}], 2, 0.5),
    "equal objects": ([{}, {}], [{}, {}], 1, 1.0),
    "IoU at a threshold": ([{}], [{"box": (0, 0, 20, 10)}], 1, 0.1),
    "the hundredth": ([{}], [{"box": AWAY}] * 99 + [{}], 1, 0.01),
    "the hundred and first": ([{}], [{"box": AWAY}] * 100 + [{}], 1, 0.0),
    "a hundred in each class": (
        [{}, {"label": 2}],
        [{"label": 2, "box": AWAY, "score": 1.0}] * 150 + [{}],
        1,
        0.5,
    ),
    "a hundred in each image": ([{"image": 1}], [{"score": 0.1}] * 150 + [{"image": 1}], 2, 1.0),
    "no area at all": ([{"box": (5, 5, 0, 0)}], [{"box": (5, 5, 0, 0)}], 1, 0.0),
    "no area beside one": ([{"box": (5, 5, 0, 9)}, {}], [{}], 1, 51 / 101),
    "area at the edge of small": ([{"area": 1024}, {"area": 1024.5}], [{}, {}], 1, 1.0),
    "beyond every area": ([{"area": 2e10}], [{}], 1, -1.0),
    "a class without detections": ([{}, {"label": 2, "box": AWAY}], [{}], 1, 0.5),
    "a class without objects": ([{}], [{}, {"label": 2, "score": 1.0}], 1, 1.0),
    "a class that the teacher does not know": ([{}, {"label": 1}], [{}], 1, 1.0),
    "two categories of one class": ([{"label": 2}, {"label": 3}], [{"label": 2}] * 2, 1, 1.0),
    "scores of zero": ([{}], [{"score": 0.0}], 1, 1.0),
}


@KINDS
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial(kind: Kind, name: str) -> None:
    objects, found, images, right = ADVERSARIAL[name]
    assert check(case(objects, found, images), kind)[0] == pytest.approx(right, abs=1e-6)


def test_without_an_object_there_is_no_number() -> None:
    meter = AveragePrecision(case([{"crowd": True}], []).data(), SPACE, "bbox")
    meter.add(0, {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)})
    with pytest.raises(DataError, match="no instance of a class"):
        meter.compute()


def test_boxes_given_are_not_written_to() -> None:
    boxes = torch.tensor([[1.0, 2, 3, 4]], dtype=torch.float64)
    meter = AveragePrecision(case([{}], []).data(), SPACE, "bbox")
    item = {"boxes": boxes, "scores": torch.ones(1), "labels": torch.tensor([3])}
    for _ in range(2):
        meter.add(0, item)
    assert boxes.tolist() == [[1, 2, 3, 4]]
    assert [found["bbox"] for found in meter.found[0]] == [[1, 2, 2, 2]] * 2


@pytest.mark.parametrize("seed", range(6))
def test_decoders_predictions(seed: int) -> None:
    """Boxes and masks through the meters that evaluation runs, on canvases that are the images."""
    case = random_case(seed, images=3, side=80)
    case = replace(case, found=[inside(thing, case.sizes[thing.image]) for thing in case.found])
    frames = [Frame(s, (0, 0, s[1], s[0]), s, (0, 0), s) for s in case.sizes]
    boxes, masks = Detection(case.data(), SPACE), InstanceSegmentation(case.data(), SPACE)
    for image in case.seen:
        own = [thing for thing in case.found if thing.image == image]
        corners = torch.tensor([thing.box for thing in own]).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        scores = torch.tensor([thing.score for thing in own])
        labels = torch.tensor([thing.label for thing in own], dtype=torch.long)
        painted = np.zeros((len(own), *case.sizes[image]), np.float32)
        for i, thing in enumerate(own):
            painted[i] = thing.mask
        found = ([corners], [scores], [labels])
        boxes.update(Detections(*found), [image], [frames[image]])
        whole = Instances(*found, [torch.from_numpy(painted)], "canvas")
        masks.update(whole, [image], [frames[image]])
    assert boxes.compute() == pytest.approx(case.of_oracle("bbox")[0], abs=1e-6)
    assert masks.compute() == pytest.approx(case.of_oracle("segm")[0], abs=1e-6)


def inside(thing: Thing, size: tuple[int, int]) -> Thing:
    """With its box clipped to its image."""
    x, y, w, h = thing.box
    x1, y1 = min(max(x + w, 0), size[1]), min(max(y + h, 0), size[0])
    x0, y0 = min(max(x, 0), size[1]), min(max(y, 0), size[0])
    return replace(thing, box=(x0, y0, x1 - x0, y1 - y0))


def check_read(case: Case) -> None:
    """A label file that is read gives the figures of its content fed to pycocotools directly."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        for i, (height, width) in enumerate(case.sizes):
            Image.new("RGB", (width, height)).save(folder / f"images/{i}.png")
        (folder / "instances.json").write_text(json.dumps(case.file()))
        data = read_coco(folder)
    assert data is not None and not data.notes
    for kind in ("bbox", "segm"):
        check(case, kind, data=data)


@pytest.mark.parametrize("seed", range(6))
def test_label_files_are_read_without_loss(seed: int) -> None:
    check_read(random_case(seed, side=80))


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(case=small_cases())
def test_small_label_files_are_read_without_loss(case: Case) -> None:
    check_read(case)
