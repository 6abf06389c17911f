"""Mean IoU equals its definition, pixel by pixel, and scikit-learn's Jaccard score."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kivfm_core.geometry import Frame
from kivfm_core.predictions import SemanticLogits
from kivfm_core.tasks.meters.semantic_segmentation import SemanticSegmentation

NAMES = tuple(f"class {i}" for i in range(12))
SEEDS = pytest.mark.parametrize("seed", range(12))
Map = NDArray[np.int64]


@dataclass
class Maps:
    """Maps of classes as a label format gives them; below 0 is what does not count."""

    maps: list[Map]
    classes: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(Path(f"{i}.png") for i in range(len(self.maps)))

    def semantic(self, index: int, space: tuple[str, ...]) -> Map:
        return self.maps[index]


def measured(true: list[Map], found: list[Map], classes: int) -> float:
    """By the meter, from logits that are highest at the class that was found."""
    space = NAMES[:classes]
    meter = SemanticSegmentation(Maps(true, space), space)
    for i, answer in enumerate(found):
        size = (int(answer.shape[0]), int(answer.shape[1]))
        frame = Frame(size, (0, 0, size[1], size[0]), size, (0, 0), size)
        onehot = torch.nn.functional.one_hot(torch.from_numpy(answer), classes)
        meter.update(SemanticLogits(onehot.permute(2, 0, 1)[None].float()), [i], [frame])
    return meter.compute()


def defined(true: list[Map], found: list[Map], classes: int) -> list[float | None]:
    """Each class's IoU over all pixels that count; None for a class that the labels lack."""
    pairs = [
        (int(t), int(f))
        for one, other in zip(true, found, strict=True)
        for t, f in zip(one.ravel(), other.ravel(), strict=True)
        if t >= 0
    ]
    ious: list[float | None] = []
    for k in range(classes):
        both = sum(t == k and f == k for t, f in pairs)
        either = sum(t == k or f == k for t, f in pairs)
        ious.append(both / either if any(t == k for t, _ in pairs) else None)
    return ious


def random_maps(seed: int) -> tuple[list[Map], list[Map], int]:
    """Images of different sizes, with void; some classes never occur, some are never found."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, len(NAMES) + 1))
    occur = rng.choice(classes, int(rng.integers(1, classes + 1)), replace=False)
    true, found = [], []
    for size in rng.integers(1, 24, (4, 2)):
        own = rng.choice(occur, size)
        own[rng.random(size) < 0.2] = -1
        wrong = rng.random(size) < rng.choice([0.1, 0.9])
        true.append(own)
        found.append(np.where(wrong | (own < 0), rng.integers(0, classes, size), own))
    true[0].flat[0] = occur[0]
    return true, found, classes


def mean(ious: list[float | None]) -> float:
    return float(np.mean([iou for iou in ious if iou is not None]))


@SEEDS
def test_random_maps(seed: int) -> None:
    true, found, classes = random_maps(seed)
    expected = mean(defined(true, found, classes))
    assert measured(true, found, classes) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_random_maps(seed: int) -> None:
    true, found, classes = random_maps(seed)
    expected = mean(defined(true, found, classes))
    assert measured(true, found, classes) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_small_maps(data: Any) -> None:
    classes = data.draw(st.integers(2, 4))
    sides = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    count = sides[0] * sides[1]

    def map_of(least: int) -> Map:
        pixels = st.lists(st.integers(least, classes - 1), min_size=count, max_size=count)
        return np.array(data.draw(pixels), np.int64).reshape(sides)

    true, found = [map_of(-1)], [map_of(0)]
    assume((true[0] >= 0).any())
    expected = mean(defined(true, found, classes))
    assert measured(true, found, classes) == pytest.approx(expected, abs=1e-6)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")
@SEEDS
def test_as_scikit_learn(seed: int) -> None:
    """Of the classes that the labels show."""
    from sklearn.metrics import jaccard_score

    maps = random_maps(seed)
    true, found = (np.concatenate([one.ravel() for one in some]) for some in maps[:2])
    counts = true >= 0
    occur = np.unique(true[counts])
    expected = jaccard_score(true[counts], found[counts], labels=occur, average="macro")
    assert measured(*maps) == pytest.approx(expected, abs=1e-6)
