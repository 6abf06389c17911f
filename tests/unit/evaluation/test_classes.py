"""Top-1 and k-NN, worked out by hand."""

from pathlib import Path

import pytest
import torch
from oracle import Oracle, oracle_spec

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.errors import DataError
from kivfm_core.evaluation.features.knn import knn_accuracy
from kivfm_core.evaluation.features.linear_probe import probe_accuracy
from kivfm_core.predictions import ClassLogits
from kivfm_core.tasks.meters.classification import Classification
from kivfm_core.tasks.meters.zero_shot import ZeroShot


def data(targets: tuple[int, ...], classes: tuple[str, ...] | None) -> ClassData:
    return ClassData(tuple(Path(f"{i}.png") for i in range(len(targets))), targets, classes)


def logits(*labels: int, classes: int = 3) -> ClassLogits:
    return ClassLogits(torch.eye(classes)[list(labels)])


def test_top_1_by_index() -> None:
    meter = Classification(data((2, 0, 1, 1), None), ("a", "b", "c"))
    meter.update(logits(2, 1), [0, 1], [])
    meter.update(logits(1, 1), [3, 2], [])
    assert meter.compute() == 3 / 4


def test_top_1_by_name_leaves_unknown_classes_out() -> None:
    meter = Classification(data((0, 1, 2), ("Red_Star", "ufo", "ring")), ("ring", "red star"))
    meter.update(logits(1, 0, 0), [0, 1, 2], [])
    assert meter.compute() == 1.0
    with pytest.raises(DataError, match="none of the data's 1 classes"):
        Classification(data((0,), ("ufo",)), ("ring",))


def test_zero_shot_prompts_once_with_the_datas_names() -> None:
    meter = ZeroShot(data((0, 1), ("red_star", "ring")), None)
    teacher = Oracle(oracle_spec({"zero-shot": "open"}))
    for _ in range(2):
        meter.prompt(teacher, [0], [])
    assert teacher.prompts == [{"labels": ["red star", "ring"]}]
    meter.update(logits(0, 0), [0, 1], [])
    assert meter.compute() == 0.5


def test_knn_on_separable_and_on_swapped_features() -> None:
    near = torch.tensor([[9.0, 1.0], [9.1, 1], [9.2, 1], [9.3, 1]])
    features = torch.cat([near, near.flip(1)])
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    assert knn_accuracy(features, targets) == 1.0
    # Of each class one lies among the other: it is outvoted, and nobody else.
    swapped = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0])
    assert knn_accuracy(features, swapped) == 6 / 8


def test_knn_weighs_a_near_neighbor_more_than_two_far_ones() -> None:
    features = torch.tensor([[1.0, 0.0], [1.0, 0.01], [0.7, 0.7], [0.7, 0.71]])
    targets = torch.tensor([0, 0, 1, 1])
    assert knn_accuracy(features, targets) == 1.0


def test_knn_needs_two_of_a_class() -> None:
    with pytest.raises(DataError, match="several images each"):
        knn_accuracy(torch.eye(3), torch.arange(3))


def test_a_probe_finds_one_weak_axis_among_strong_ones_that_say_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(60) % 2
    features = 10 * torch.randn(60, 8, generator=generator)
    features[:, 3] = 0.1 * (2 * targets - 1)
    assert probe_accuracy(features, targets) == 1.0
    assert knn_accuracy(features, targets) < 0.8


def test_a_probe_that_could_learn_by_heart_finds_nothing_in_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(120, 300, generator=generator)
    assert probe_accuracy(noise, torch.arange(120) % 4) < 0.4


def test_zero_shot_cannot_tell_classes_of_one_name_apart() -> None:
    with pytest.raises(DataError, match="several classes are called 'red star'"):
        ZeroShot(data((0, 1, 2), ("red_star", "ring", "red star")), None)
