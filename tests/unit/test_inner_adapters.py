"""Students whose adapter works inside the base's own pass, or that have none."""

from __future__ import annotations

import copy

import pytest
import torch

from kivfm_core.compose import compose
from kivfm_core.config import build_config
from kivfm_core.distill import distill
from kivfm_core.errors import UsageError
from kivfm_core.student import Student, load_student

INNER = ("bottleneck", "lora", "full")


def student_with(kind: str) -> Student:
    flags = {"teachers": "dino/nano,sam/nano", "student.adapter": kind}
    torch.manual_seed(0)
    return Student(compose(build_config(None, flags))).eval()


def shake(student: Student) -> None:
    with torch.no_grad():
        for parameter in student.adapter.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("kind", [*INNER, "none"])
def test_untrained_it_is_its_base(kind: str):
    student, x = student_with(kind), torch.rand(2, 3, 96, 96)
    own, base = student(x), student.trunk(x)
    assert torch.equal(own["x"], base["global"]) and torch.equal(own["V"], base["dense"])
    assert own.keys() == {"x", "V"}
    trained = sum(p.numel() for p in student.adapter.parameters())
    assert trained == student.composition.adapter.parameters
    assert bool(trained) == (kind in INNER)


@pytest.mark.parametrize("kind", INNER)
def test_every_branch_gets_a_gradient_and_the_base_none(kind: str):
    student = student_with(kind).train()
    shake(student)
    features = student(torch.rand(2, 3, 96, 96))
    (features["V"].square().sum() + features["x"].square().sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in student.adapter.parameters())
    assert all(p.grad is None for p in student.trunk.parameters())


@pytest.mark.parametrize("kind", INNER)
def test_the_base_is_as_before_and_a_copy_is_another(kind: str):
    student, x = student_with(kind), torch.rand(1, 3, 96, 96)
    before = student.trunk(x)["dense"]
    shake(student)
    changed = student(x)["V"]
    assert not torch.equal(changed, before) and torch.equal(student.trunk(x)["dense"], before)
    other = copy.deepcopy(student)
    shake(other)
    assert torch.equal(student(x)["V"], changed) and not torch.equal(other(x)["V"], changed)


def test_it_is_not_compiled():
    flags = {"teachers": "dino/nano,sam/nano", "engine.compile": "student"}
    build_config(None, {**flags, "student.adapter": "side"})
    for kind in INNER:
        with pytest.raises(UsageError, match=rf"engine: .*{kind}"):
            build_config(None, {**flags, "student.adapter": kind})


@pytest.mark.parametrize("kind", ["bottleneck", "full", "none"])
def test_it_is_distilled_and_resumed_as_any_other(kind: str, config, tmp_path):
    student = config.student.model_copy(update={"adapter": kind})
    data = config.data.model_copy(update={"views": 2})
    config = config.model_copy(update={"student": student, "data": data})
    whole = distill(config, out=tmp_path / "whole")
    optim = config.optim.model_copy(update={"steps": 4})
    cut = distill(config.model_copy(update={"optim": optim}), out=tmp_path / "cut")
    distill(resume=cut, steps=config.optim.steps)
    x = torch.rand(1, 3, 64, 64)
    features = load_student(whole)(x)
    assert features.keys() == {"x", "V"} and features["V"].isfinite().all()
    kept = load_student(cut).composition
    assert kept == load_student(whole).composition and kept.adapter.kind == kind
