"""Students whose adapter works inside the base's own pass, or that have none."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.models.beit import Beit
from timm.models.eva import Eva

from kivfm_core.adapters.inner_plan import BottleneckPlan, LoraPlan
from kivfm_core.adapters.side_plan import SidePlan
from kivfm_core.adapters.table import build_adapter
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.processes.launch import resolve_precision
from kivfm_core.distillation.state.resume import plan_resume
from kivfm_core.errors import UsageError
from kivfm_core.runs.run import Run
from kivfm_core.spec import Attachment
from kivfm_core.student.bundle import load_student
from kivfm_core.student.student import Student

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


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (lambda **shape: Beit(img_size=32, **shape), "does not go through blocks.0.attn.qkv"),
        (lambda **shape: Eva(img_size=32, **shape), "does not go through blocks.0.attn.qkv"),
        (lambda **shape: Eva(img_size=32, qkv_fused=False, **shape), "no module blocks.0.attn.qkv"),
    ],
)
def test_a_base_that_lora_cannot_reach_is_refused(kind, why: str):
    trunk = kind(patch_size=16, embed_dim=32, depth=1, num_heads=2, num_classes=0).eval()
    place = Attachment(module="blocks.0", channels=32, layout="NLC", stride=16, prefix_tokens=1)
    x = torch.rand(1, 3, 32, 32)
    with build_adapter(BottleneckPlan(places=(place,), rank=8)).attached(trunk):
        trunk(x)
    lora = build_adapter(LoraPlan(places=(place,), rank=16))
    with pytest.raises(UsageError, match=why) as caught, lora.attached(trunk):
        trunk(x)
    assert "student.adapter=bottleneck" in caught.value.hint
    assert not any(module._forward_hooks for module in trunk.modules())


@pytest.mark.parametrize("kind", ["bottleneck", "full"])
@pytest.mark.parametrize(
    ("setting", "value"), [("compile", "student"), ("activation_checkpointing", True)]
)
def test_what_does_not_reach_into_the_base_is_refused(
    setting: str, value, kind: str, config, tmp_path
):
    def asking(kind: str, **engine):
        student = config.student.model_copy(update={"adapter": kind})
        engine = config.engine.model_copy(update=engine)
        made = config.model_copy(update={"student": student, "engine": engine})
        return resolve_precision(made.anchored())

    compose(asking("side", **{setting: value}))
    with pytest.raises(UsageError, match=f"cannot follow {kind} changes") as caught:
        compose(asking(kind, **{setting: value}))
    assert f"engine.{setting}=" in caught.value.hint
    # Nor can a run go on so, whose composition is there already.
    began, run = asking(kind), Run(tmp_path / "run")
    run.write_plan(began, compose(began))
    assert plan_resume(run, began, allow=False).composition == run.composition
    with pytest.raises(UsageError, match=f"cannot follow {kind} changes"):
        plan_resume(run, asking(kind, **{setting: value}), allow=False)


def test_what_is_added_later_stands_beside_the_base(tmp_path):
    flags = {"teachers": "dino/nano,sam/nano", "student.adapter": "lora", "student.width": 4}
    first = build_config(None, flags)
    Run(tmp_path).write_plan(first, compose(first))

    def added(kind: str, width: int | None, **engine) -> SidePlan:
        more = {f"engine.{name}": value for name, value in engine.items()}
        more |= {"teachers": "dino/nano,sam/nano,clip/nano", "student.start": str(tmp_path)}
        more |= {"student.adapter": kind, "student.width": width}
        return compose(build_config(None, more)).extensions[0]

    # A rank that the first run's configuration hands down is no side adapter's width.
    usual = added("side", None)
    assert added("lora", 4) == usual != added("side", 64)
    assert added("side", None, activation_checkpointing=True) == usual
    with pytest.raises(UsageError, match=r"compile cannot follow lora changes"):
        added("side", None, compile="student")


@pytest.mark.parametrize("kind", ["bottleneck", "full", "depths", "none"])
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
    assert features.keys() - {"D1"} == {"x", "V"} and features["V"].isfinite().all()
    kept = load_student(cut).composition
    assert kept == load_student(whole).composition and kept.adapter.kind == kind
