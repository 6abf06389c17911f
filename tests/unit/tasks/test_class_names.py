"""Tasks whose prompt is the data's class names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import SemanticLogits
from kivfm_core.task import Prompter
from kivfm_core.tasks.meters.open_vocabulary import OpenVocabulary
from kivfm_core.tasks.meters.text_segmentation import TextSegmentation

FRAME = Frame((2, 2), (0, 0, 2, 2), (2, 2), (0, 0), (2, 2))


class Maps:
    """One image of 2 x 2 pixels: the first class that is no background, the second, and none."""

    paths = (Path("a.png"),)

    def __init__(self, *names: str) -> None:
        self.classes = names

    def semantic(self, index: int, space: tuple[str, ...]) -> np.ndarray:
        return np.array([[1, 2], [0, 0]])


def coco(*names: str) -> CocoData:
    categories = tuple({"id": i, "name": name} for i, name in enumerate(names))
    return CocoData((Path("a.png"),), ({"id": 1, "height": 2, "width": 2},), ((),), categories)


def test_a_pixel_that_no_word_fits_is_background():
    meter = OpenVocabulary(Maps("_background_", "a_ring", "star"), None)
    logits = torch.tensor([[[[0.5, -1.0], [-0.5, 2.0]], [[0.1, 0.2], [-0.1, 1.0]]]])
    meter.update(SemanticLogits(logits), [0], [FRAME])
    # The ring has one pixel right and one too many; the star one right; background one of two.
    assert meter.compute() == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)


@pytest.mark.parametrize(("meter", "data"), [(OpenVocabulary, Maps), (TextSegmentation, coco)])
def test_names_become_words_once(meter: Any, data: Any):
    one, asked = meter(data("a_ring", "star"), None), []
    teacher = cast(Prompter, SimpleNamespace(prompt=lambda task, labels: asked.append(labels) or 1))
    assert one.prompt(teacher, (), ()) == one.prompt(teacher, (), ()) == 1
    assert asked == [["a ring", "star"]]
    assert not any("carry no meaning" in note for note in one.notes())
    assert any("carry no meaning" in note for note in meter(data("1", "2"), None).notes())
    with pytest.raises(DataError, match="several classes are called 'a ring'"):
        meter(data("a_ring", "a ring"), None)
