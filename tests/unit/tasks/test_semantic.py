"""Semantic segmentation, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kivfm_core.data.formats.masks import MaskData
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import SemanticLogits
from kivfm_core.tasks.meters.semantic_segmentation import SemanticSegmentation, confusion, mean_iou


def test_mean_iou_of_a_two_by_two_confusion() -> None:
    # IoU 3 / (4 + 4 - 3) and 1 / (2 + 2 - 1).
    assert mean_iou(torch.tensor([[3, 1], [1, 1]])) == pytest.approx((3 / 5 + 1 / 3) / 2)


def test_classes_that_do_not_occur_do_not_count() -> None:
    assert mean_iou(torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 0]])) == pytest.approx(0.75)
    with pytest.raises(DataError):
        mean_iou(torch.zeros(2, 2, dtype=torch.long))


def test_void_pixels_do_not_count() -> None:
    counts = confusion(torch.tensor([0, 1, -1, 1]), torch.tensor([0, 0, 1, 1]), 2)
    assert counts.tolist() == [[1, 0], [1, 1]]


def test_a_picture_through_the_meter(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8)
    Image.fromarray(labels).save(tmp_path / "a.png")
    data = MaskData((Path("a.jpg"),), (tmp_path / "a.png",), ("background", "ring"))
    meter = SemanticSegmentation(data, ("ring", "background"))
    frame = Frame((2, 4), (0, 0, 4, 2), (2, 4), (0, 0), (2, 4))
    ring = torch.tensor([[0.0, 0, 0, 1], [0, 0, 1, 0]])  # one of three ring pixels is missed
    meter.update(SemanticLogits(torch.stack([ring, 0.5 - ring * 0])[None]), [0], [frame])
    assert meter.compute() == pytest.approx((2 / 3 + 4 / 5) / 2)
    with pytest.raises(DataError, match="none of the data's 2 classes"):
        SemanticSegmentation(data, ("background", "ufo"))
