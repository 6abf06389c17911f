"""One step's loss and the teachers' gradients, against numbers from the student's predictions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.student.student import Student

BASE, PURPOSE = "toybase/small", "toypurpose/small"
WEIGHTS = {BASE: 0.25, PURPOSE: 0.75}
UNIT, STD = 0.3, 2.0
CANVAS = (2, 3, 64, 64)
NOTHING = torch.zeros(2, 2)
"""Drawn for a recipe that draws nothing."""


def moved(config: RunConfig, recipe: str) -> Student:
    """A student whose every part says something: nothing in it is zero any more."""
    torch.manual_seed(0)
    student = Student(compose(config.model_copy(update={"recipe": recipe}))).eval()
    for parameter in student.parameters():
        if parameter.requires_grad and not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return student


def drawn() -> tuple[Tensor, Targets]:
    """Canvases, and what a teacher says of them."""
    torch.manual_seed(1)
    levels = {
        "fine": torch.randn(2, 24, 16, 16),
        "coarse": torch.randn(2, 40, 4, 4),
        "global": torch.randn(2, 40),
    }
    return torch.randn(CANVAS), Targets({PURPOSE: levels})


def squared(student: Tensor, teacher: Tensor) -> Tensor:
    return ((student - teacher) ** 2).flatten(1).mean(1)


def angle(student: Tensor, teacher: Tensor) -> Tensor:
    product = (student * teacher).sum(1) / student.norm(dim=1) / teacher.norm(dim=1)
    return product.acos() ** 2


def test_the_loss_by_hand(config: RunConfig):
    student = moved(config, "c-radio")
    student.aligner(PURPOSE, "fine").std.fill_(STD)
    student.aligner(PURPOSE, "global").unit.fill_(UNIT)
    canvas, targets = drawn()
    with torch.no_grad():
        total, each = Distillation(student, "c-radio", WEIGHTS)(canvas, targets, NOTHING)
        features, trunk = student(canvas), student.run_trunk(canvas)
        grids = {"fine": (16, 16), "coarse": (4, 4), "global": None}
        said = {n: student.aligner(PURPOSE, n).predict(features, g) for n, g in grids.items()}
    levels = targets.teachers[PURPOSE]
    base = (angle(features["x"], trunk.x) + squared(features["V"], trunk.v)) / 2
    purpose = (
        squared(said["fine"], levels["fine"] / STD)
        + squared(said["coarse"], levels["coarse"])
        + angle(said["global"], levels["global"]) / UNIT
    ) / 3
    assert base.min() > 1e-3  # the student has left its base
    assert float(each[BASE]) == pytest.approx(float(base.mean()), rel=1e-4)
    assert float(each[PURPOSE]) == pytest.approx(float(purpose.mean()), rel=1e-4)
    assert float(total) == pytest.approx(float((0.25 * base + 0.75 * purpose).mean()), rel=1e-4)


def test_who_is_drawn_away_does_not_count(config: RunConfig):
    canvas, targets = drawn()
    canvas, targets = canvas[:1], targets.rows(slice(1))
    module = Distillation(moved(config, "unic"), "unic", WEIGHTS)
    with torch.no_grad():
        alone, each = module(canvas, targets, torch.ones(2, 1))
        both, _ = module(canvas, targets, torch.zeros(2, 1))
    assert float(alone) == pytest.approx(max(map(float, each.values())))
    assert float(both) == pytest.approx(0.25 * float(each[BASE]) + 0.75 * float(each[PURPOSE]))


def test_teacher_gradients_by_hand(config: RunConfig):
    student = moved(config, "mse")
    canvas, targets = drawn()
    base, purpose = Distillation(student, "mse", WEIGHTS).teacher_gradients(canvas, targets)
    with torch.no_grad():
        features, trunk = student(canvas), student.run_trunk(canvas)
    # Of a mean square of N numbers 2 (student - teacher) / N, and half of it: there are two levels.
    # The teachers' weights do not count.
    base_levels = trunk.features
    wanted = {n: (features[n] - level) / level.numel() for n, level in base_levels.items()}
    maps = [wanted.get(name, torch.zeros_like(map_)) for name, map_ in features.items()]
    assert torch.allclose(base, torch.cat([map_.flatten() for map_ in maps]), rtol=1e-3, atol=1e-8)
    assert wanted["V"].any() and purpose.any()
