"""Labels of objects on a canvas: boxes, classes, masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.tv_tensors import Mask

from kivfm_core.data.formats.coco import CocoData, read_coco
from kivfm_core.geometry import plan_frame
from kivfm_core.head_training.augment import augment
from kivfm_core.heads.objects import as_targets
from kivfm_core.heads.targets import box_target, count_classes, mask_target
from kivfm_core.spec import InputContract

CLASSES = ("cat", "dog")
SQUARE = InputContract(policy="letterbox", size=64)


def outline(x: float, y: float, w: float, h: float) -> list[list[float]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


@pytest.fixture
def data(tmp_path: Path) -> CocoData:
    """An image 128 wide and 64 high: a cat, a dog beyond the border, a crowd, a dot, a box."""
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((64, 128, 3), np.uint8)).save(tmp_path / "images" / name)
    boxes = [(20, 10, 40, 20, 1), (100, 40, 60, 60, 2), (0, 0, 50, 50, 1), (5, 5, 1, 1, 2)]
    items = [
        {"image_id": 1, "id": number, "category_id": label, "bbox": [x, y, w, h],
         "segmentation": outline(x, y, w, h), "iscrowd": number == 2}
        for number, (x, y, w, h, label) in enumerate(boxes)
    ]  # fmt: skip
    items.append({"image_id": 1, "id": 9, "category_id": 1, "bbox": [60, 30, 20, 30]})
    record = {
        "images": [
            {"id": n, "file_name": f"{a}.png", "width": 128, "height": 64}
            for n, a in ((1, "a"), (2, "b"))
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": items,
    }
    (tmp_path / "instances.json").write_text(json.dumps(record))
    found = read_coco(tmp_path)
    assert found is not None
    return found


def test_boxes_lie_on_the_canvas_without_crowds_and_dots(data: CocoData):
    frame = plan_frame((64, 128), SQUARE)
    target = box_target(data, 0, frame, CLASSES)
    wanted = [[10.0, 5, 30, 15], [50, 20, 64, 32], [30, 15, 40, 30]]
    assert target["boxes"].tolist() == wanted and target["labels"].tolist() == [0, 1, 0]
    assert count_classes(target, 2).tolist() == [2, 1]


def test_classes_that_are_not_learned_are_left_out(data: CocoData):
    target = box_target(data, 0, plan_frame((64, 128), SQUARE), ("dog",))
    assert target["labels"].tolist() == [0]


def test_masks_fill_their_boxes_and_objects_without_are_left_out(data: CocoData):
    target = mask_target(data, 0, plan_frame((64, 128), SQUARE), CLASSES)
    assert target["labels"].tolist() == [0, 1]
    for box, mask in zip(target["boxes"], target["masks"], strict=True):
        x0, y0, x1, y1 = (int(side) for side in box)
        assert mask.sum() == (x1 - x0) * (y1 - y0) == mask[y0:y1, x0:x1].sum()


def test_an_image_without_objects_has_none(data: CocoData):
    target = mask_target(data, 1, plan_frame((64, 128), SQUARE), CLASSES)
    shapes = [tuple(target[key].shape) for key in ("boxes", "labels", "masks")]
    assert shapes == [(0, 4), (0,), (0, 64, 64)]
    _, moved = augment(torch.rand(3, 64, 64), target)
    assert len(moved["boxes"]) == len(moved["masks"]) == 0


def test_augmentation_moves_boxes_with_their_masks(data: CocoData):
    target = mask_target(data, 0, plan_frame((64, 128), SQUARE), CLASSES)
    for seed in range(20):
        torch.manual_seed(seed)
        _, moved = augment(torch.rand(3, 64, 64), target)
        assert len(moved["boxes"]) == len(moved["labels"]) == len(moved["masks"])
        (wanted,) = as_targets([moved], first=1)
        assert wanted["labels"].tolist() == [label + 1 for label in moved["labels"].tolist()]
        for box, mask in zip(wanted["boxes"], wanted["masks"], strict=True):
            rows, columns = mask.nonzero(as_tuple=True)
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert torch.allclose(box, torch.stack(found).float(), atol=1.5)


def test_an_object_that_is_moved_out_of_the_canvas_is_left_out(data: CocoData):
    target = mask_target(data, 0, plan_frame((64, 128), SQUARE), CLASSES)
    target["boxes"][0] = torch.tensor([0.0, 0, 1, 1])
    target["masks"] = Mask(torch.zeros(2, 64, 64, dtype=torch.int8))
    counts = set()
    for seed in range(20):
        torch.manual_seed(seed)
        counts.add(len(augment(torch.rand(3, 64, 64), target)[1]["boxes"]))
    assert counts <= {0, 1, 2} and min(counts) < 2
