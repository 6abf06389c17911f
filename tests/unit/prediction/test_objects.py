"""Predictions in other libraries' forms: COCO's results, supervision's detections, PIL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faster_coco_eval.core import mask as codec
from oracle import Oracle, oracle_spec
from PIL import Image

from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.prediction.predict import predict
from kivfm_core.prediction.result import Prediction
from kivfm_core.predictions import ClassLogits, Detections, Instances, Masks
from kivfm_core.spec import InputContract

CONTRACT = InputContract(policy="letterbox", size=32)
NAMES = ("__background__", "cat", "dog")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (32, 32), "white").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def solve(image: Path, task: str, found: Any, labels: Any = NAMES, **more: Any) -> Prediction:
    teacher = Oracle(oracle_spec({task: labels}, CONTRACT), lambda *_: found)
    return predict(teacher, image, task, **more)


@pytest.fixture
def instances(image: Path) -> Prediction:
    boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0], [8.0, 8.0, 24.0, 20.0], [1.0, 1.0, 2.0, 2.0]])
    masks = torch.zeros(3, 32, 32)
    masks[0, :8, :8] = masks[1, 8:20, 8:24] = 1
    scores, labels = torch.tensor([0.5, 0.9, 0.1]), torch.tensor([1, 2, 1])
    found = Instances([boxes], [scores], [labels], [masks], "canvas")
    return solve(image, "instance-segmentation", found)


def test_masks_are_kept_beside_what_was_found(instances: Prediction):
    assert [item["label"] for item in instances.found] == ["dog", "cat"]
    assert instances.masks is not None and instances.masks.shape == (2, 32, 32)
    assert [int(mask.sum()) for mask in instances.masks] == [12 * 16, 64]
    assert "mask" not in instances.found[0] and "mask" not in str(instances.as_dict())


def test_coco(instances: Prediction):
    first, second = instances.to_coco(7)
    assert first | {"segmentation": 0} == {
        "image_id": 7, "category_id": 2, "bbox": [8, 8, 16, 12],
        "score": pytest.approx(0.9), "segmentation": 0,
    }  # fmt: skip
    assert (codec.decode(first["segmentation"]) == instances.masks[0].numpy()).all()
    assert second["category_id"] == 1
    named = instances.to_coco(categories={"cat": 17, "dog": 18})
    assert [row["category_id"] for row in named] == [18, 17]
    with pytest.raises(UsageError, match="'dog' is in no category"):
        instances.to_coco(categories={"cat": 17})


def test_coco_has_cocos_own_ids(image: Path):
    boxes = Detections([torch.tensor([[0.0, 0, 8, 8]])], [torch.ones(1)], [torch.tensor([79])])
    (row,) = solve(image, "detection", boxes, "coco-80").to_coco()
    assert row["category_id"] == 90  # a toothbrush
    boxes = Detections([torch.tensor([[0.0, 0, 8, 8]])], [torch.ones(1)], [torch.tensor([90])])
    (row,) = solve(image, "detection", boxes, "coco-91").to_coco()
    assert row["category_id"] == 90


def test_masks_of_clicks(image: Path):
    logits = torch.full((2, 32, 32), -1.0)
    logits[0, :4, :6] = 1
    found = solve(
        image, "promptable-segmentation", Masks([logits]), "none", points=[(1, 1), (9, 9)]
    )
    rows = found.to_coco()
    assert [row["bbox"][:2] for row in rows] == [[0, 0], [0, 0]] and rows[0]["score"] == 1
    assert found.masks is not None and found.masks.shape == (2, 32, 32)


def test_what_finds_no_objects_has_no_such_form(image: Path):
    found = solve(image, "classification", ClassLogits(torch.zeros(1, 3)))
    for give in (found.to_coco, found.to_supervision):
        with pytest.raises(UsageError, match="classification finds classes"):
            give()


def test_nothing_found_is_an_empty_list(image: Path):
    none = Detections([torch.zeros(0, 4)], [torch.zeros(0)], [torch.zeros(0, dtype=torch.long)])
    assert solve(image, "detection", none).to_coco() == []


def test_supervision(instances: Prediction):
    """With the package itself: it checks shapes and types, filters, and draws."""
    supervision = pytest.importorskip("supervision")
    found = instances.to_supervision()
    assert isinstance(found, supervision.Detections) and len(found) == 2
    assert found.xyxy.tolist() == [[8, 8, 24, 20], [0, 0, 8, 8]]
    assert found.xyxy.dtype == np.float32
    assert found.mask.dtype == bool and found.mask.shape == (2, 32, 32)
    assert found.class_id.tolist() == [2, 1]
    assert found.data["class_name"].tolist() == ["dog", "cat"]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5])
    assert found.area.tolist() == [12 * 16, 64]
    (dog,) = found[found.confidence > 0.6].class_id
    assert dog == 2
    white = np.full((32, 32, 3), 255, np.uint8)
    assert (supervision.MaskAnnotator().annotate(white.copy(), found) != white).any()


def test_supervision_of_clicks_and_of_nothing(image: Path):
    supervision = pytest.importorskip("supervision")
    logits = torch.full((2, 32, 32), -1.0)
    logits[0, :4, :6] = 1
    clicks = {"points": [(1, 1), (9, 9)]}
    found = solve(image, "promptable-segmentation", Masks([logits]), "none", **clicks)
    assert found.to_supervision().mask.sum() == 24 and len(found.to_supervision()) == 2
    none = Detections([torch.zeros(0, 4)], [torch.zeros(0)], [torch.zeros(0, dtype=torch.long)])
    empty = solve(image, "detection", none).to_supervision()
    assert len(empty) == 0 and len(supervision.Detections.merge([empty, empty])) == 0


def test_supervision_missing(instances: Prediction, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(KivfmError, match="not installed") as error:
        instances.to_supervision()
    assert error.value.hint == "pip install supervision"


def test_draw(instances: Prediction):
    drawn = instances.draw()
    assert drawn.width == drawn.height == 640 and len(drawn.getcolors(10**6) or ()) > 2
    alone = Prediction("detection", "a/b", 1, 1, "objects", [])
    with pytest.raises(UsageError, match="has no image"):
        alone.draw()
