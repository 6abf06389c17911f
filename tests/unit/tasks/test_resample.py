"""A meter's scores of drawn images are those of a data set in which the images are repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracle_ap import Kind
from random_coco import SPACE, Case, random_case

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits, Masks, SemanticLogits
from kivfm_core.task import Meter, weighted_means
from kivfm_core.tasks.meters.classification import Classification
from kivfm_core.tasks.meters.coco_ap import AveragePrecision
from kivfm_core.tasks.meters.promptable_segmentation import PromptableSegmentation
from kivfm_core.tasks.meters.semantic_segmentation import SemanticSegmentation
from kivfm_core.tasks.meters.zero_shot import ZeroShot

SIZE = (6, 8)
FRAME = Frame(SIZE, (0, 0, SIZE[1], SIZE[0]), SIZE, (0, 0), SIZE)
# From the images to take, each as often as it is named, to a meter that saw them.
Measure = Callable[[Sequence[int]], Meter]


def counts(images: int, draws: int = 12, seed: int = 0) -> NDArray[np.float64]:
    """Draws with replacement; the first has every image once."""
    drawn = np.random.default_rng(seed).multinomial(images, [1 / images] * images, size=draws)
    drawn[0] = 1
    return drawn.astype(float)


def check(measure: Measure, images: int) -> None:
    """All draws score what the meter computes on them, and NaN where it has nothing to compute."""
    whole = measure(range(images))
    whole.compute()
    drawn = counts(images)
    found = whole.resample(drawn)
    assert found is not None and found.shape == (len(drawn),)
    for number, score in zip(drawn, found, strict=True):
        try:
            expected = measure(np.repeat(np.arange(images), number.astype(int)).tolist()).compute()
        except DataError:
            expected = np.nan
        assert score == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("kind", [Classification, ZeroShot])
@pytest.mark.parametrize("images", [1, 3, 40])
def test_accuracy(kind: Any, images: int) -> None:
    rng = np.random.default_rng(images)
    targets, logits = rng.integers(4, size=images), torch.from_numpy(rng.random((images, 3)))
    names = ("cat", "dog", "bird", "ufo")  # the last is none of the teacher's

    def measure(taken: Sequence[int]) -> Meter:
        data = ClassData(
            tuple(Path(f"{i}.jpg") for i in taken), tuple(int(targets[i]) for i in taken), names
        )
        meter = kind(data, names[:3])
        meter.update(ClassLogits(logits[list(taken)]), range(len(taken)), [FRAME] * len(taken))
        return meter

    check(measure, images)


class Maps:
    """Label maps that are in memory."""

    def __init__(self, maps: NDArray[np.int64]) -> None:
        self.maps, self.classes = maps, ("a", "b", "c", "d")
        self.paths = tuple(Path(f"{i}.jpg") for i in range(len(maps)))

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        return self.maps[index]


@pytest.mark.parametrize("images", [1, 4, 20])
def test_mean_iou_where_rare_classes_are_in_few_draws(images: int) -> None:
    rng = np.random.default_rng(images)
    maps = rng.integers(-1, 3, (images, *SIZE)) * (rng.random((images, 1, 1)) < 0.8)
    maps[-1, 0] = 3
    logits = torch.from_numpy(rng.random((images, 4, *SIZE)).astype(np.float32))

    def measure(taken: Sequence[int]) -> Meter:
        meter = SemanticSegmentation(Maps(maps[list(taken)]), ("a", "b", "c", "d"))
        found = SemanticLogits(logits[list(taken)])
        meter.update(found, range(len(taken)), [FRAME] * len(taken))
        return meter

    check(measure, images)


def repeated(case: Case, taken: Sequence[int]) -> Any:
    """The case's data with these images; ids keep their order."""
    data = case.data().pick(taken)
    order = np.argsort([data.images[i]["id"] for i in range(len(taken))], kind="stable")
    ids = {int(place): number for number, place in enumerate(order, 1)}
    images = tuple({**image, "id": ids[i]} for i, image in enumerate(data.images))
    return replace(data, images=images)


@pytest.mark.parametrize("seed", range(4))
def test_clicks(seed: int) -> None:
    case = random_case(seed, images=5, most=3, side=40)
    rng = np.random.default_rng(seed)
    found = [torch.from_numpy(rng.random((9, *size)) - 0.5) for size in case.sizes]

    def measure(taken: Sequence[int]) -> Meter:
        meter = PromptableSegmentation(repeated(case, taken), None)
        for place, image in enumerate(taken):
            size = case.sizes[image]
            frame = Frame(size, (0, 0, size[1], size[0]), size, (0, 0), size)
            number = len(meter.masks(place))
            meter.update(Masks([found[image][:number]]), [place], [frame])
        return meter

    check(measure, len(case.sizes))


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(8))
def test_average_precision(kind: Kind, seed: int) -> None:
    case = random_case(seed, images=5, most=6, side=60)
    # Distinct scores: the order of equal ones is not defined.
    scores = np.random.default_rng(seed).permutation(len(case.found)) / len(case.found)
    things = [replace(t, score=float(s)) for t, s in zip(case.found, scores, strict=True)]

    def measure(taken: Sequence[int]) -> Any:
        meter = AveragePrecision(repeated(case, taken), SPACE, kind)
        for place, image in enumerate(taken):
            own = [thing for thing in things if thing.image == image]
            boxes = torch.tensor([thing.box for thing in own], dtype=torch.float64).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            item = {
                "boxes": boxes,
                "scores": torch.tensor([thing.score for thing in own]),
                "labels": torch.tensor([thing.label for thing in own], dtype=torch.long),
            }
            meter.add(place, item, [_runs(thing.mask) for thing in own] if kind == "segm" else None)
        return meter

    check(measure, len(case.sizes))


def _runs(mask: Any) -> Any:
    from faster_coco_eval.core import mask as codec

    return codec.encode(np.asfortranarray(mask.astype(np.uint8)))


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(20))
def test_average_precision_of_every_image_once_is_cocos(kind: Kind, seed: int) -> None:
    case, found = random_case(seed), list[AveragePrecision]()
    add = AveragePrecision.add

    class Kept(AveragePrecision):
        def add(self, *given: Any) -> None:
            found.append(self)
            add(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("random_coco.AveragePrecision", Kept)
        expected = case.of_kivfm(kind)[0]
    (score,) = found[-1].resample(np.ones((1, len(case.sizes))))
    assert score == pytest.approx(expected if expected >= 0 else np.nan, abs=1e-6, nan_ok=True)


def test_a_meter_that_does_not_know() -> None:
    assert Meter().resample(counts(3)) is None


def test_a_mean_of_nothing_is_no_number() -> None:
    found = weighted_means(np.array([[1.0, 0], [1, 2]]), np.array([0.0, 3]), np.array([0.0, 2]))
    assert found == pytest.approx([np.nan, 1.5], nan_ok=True)
