"""A kind of adapter or aligner from outside the package is used like one of the package's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_kinds import LinearAligner, LinearPlan, ScaleAdapter, ScalePlan

from kivfm_core.adapters.table import ADAPTERS
from kivfm_core.aligners.table import ALIGNERS
from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import summarize
from kivfm_core.config import RunConfig, build_config, dump_config
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame
from kivfm_core.recipes.table import RECIPES
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student
from kivfm_core.student.student import Student

ROOT = Path(__file__).parents[3]
SIDES = (64, 64)


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy kinds have their lines in the tables; a recipe names the aligner."""
    monkeypatch.setitem(ADAPTERS, "scale", ScalePlan)
    monkeypatch.setitem(ALIGNERS, "linear", LinearPlan)
    linear = RECIPES["levels"].model_copy(update={"aligner": "linear"})
    monkeypatch.setitem(RECIPES, "linear", linear)


def with_(config: RunConfig, **fields) -> RunConfig:
    return build_config(None, {**config.model_dump(by_alias=True, exclude_none=True), **fields})


def planned(config: RunConfig, folder: Path) -> Composition:
    """Configuration and plan, each as it is after a file; the plan adds up."""
    file = folder / "config.toml"
    file.write_text(dump_config(config))
    assert build_config(file, {}) == config
    composition = compose(config)
    assert Composition.model_validate_json(composition.model_dump_json()) == composition
    student = Student(composition)
    trained = sum(t.numel() for t in student.trained().values())
    native = sum(1 + plan.level.channels for plan in composition.aligners if plan.native)
    assert trained - native - len(composition.teachers) == composition.trainable
    assert summarize(composition)["parameters"]["trainable"] == composition.trainable
    assert summarize(composition)["cost"]["activations_bytes"] > 0
    return composition


def levels(student: Student, teacher: str) -> dict[str, torch.Tensor]:
    """A stand-in's levels of one canvas."""
    torch.manual_seed(0)
    frame = Frame(SIDES, (0.0, 0.0, *map(float, SIDES)), SIDES, (0, 0), SIDES)
    return dict(student.stand_in(teacher).encode(torch.rand(1, 3, *SIDES), [frame]))


def learned(config: RunConfig, out: Path, teacher: str) -> Student:
    """A distilled student, from its bundle; its stand-in's levels are not an untrained one's."""
    run = open_run(distill(config, out=out))
    assert run.composition == compose(config)
    student = load_student(out)
    after, before = (levels(s, teacher) for s in (student, run.load_student(untrained=True)))
    for level in run.composition.of(teacher):
        name = level.level.name
        assert after[name].isfinite().all() and not torch.equal(after[name], before[name])
    return student


def test_an_adapter_kind_from_outside(config: RunConfig, tmp_path: Path):
    config = with_(config, **{"student.adapter": "scale"})
    composition = planned(config, tmp_path)
    assert summarize(composition)["adapter"] == {
        "kind": "scale",
        "channels": {"x": 48, "V": 48},
        "parameters": 96,
    }
    student = learned(config, tmp_path / "run", "toypurpose/small")
    assert isinstance(student.adapter, ScaleAdapter) and any(
        change.any() for change in student.adapter.changes.values()
    )
    # Without what was learned, the student's own features are the base's again.
    student.forget(["toybase/small"])
    x = torch.rand(1, 3, *SIDES)
    assert torch.equal(student(x)["V"], student.trunk(x)["dense"])


def test_an_adapter_kind_from_outside_that_there_can_be_only_one_of(config: RunConfig):
    with pytest.raises(UsageError, match="each teacher has a side adapter of its own"):
        compose(with_(config, **{"student.adapter": "scale", "recipe": "sak"}))


def test_an_aligner_kind_from_outside(config: RunConfig, tmp_path: Path):
    config = with_(config, recipe="linear")
    composition = planned(config, tmp_path)
    assert {(plan.teacher, plan.kind) for plan in composition.aligners} == {
        ("toybase/small", "identity"),
        ("toypurpose/small", "linear"),
    }
    student = learned(config, tmp_path / "run", "toypurpose/small")
    assert isinstance(student.aligner("toypurpose/small", "fine"), LinearAligner)


def test_an_unknown_kind_is_refused_and_the_others_are_named(composition: Composition):
    with pytest.raises(UsageError, match="no adapter kind 'sied'; one of: side, bottleneck, lora"):
        build_config(None, {"teachers": "toybase", "student.adapter": "sied"})
    stored = composition.model_dump(mode="json")
    for part in (stored["adapter"], stored["aligners"][0]):
        known, part["kind"] = part["kind"], "sied"
        with pytest.raises(ValueError, match=f"kind 'sied'; one of: .*{known}"):
            Composition.model_validate(stored)
        part["kind"] = known
    assert Composition.model_validate(stored) == composition


def test_every_adapter_kind_is_described():
    page = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `student.adapter` |"))
    for name, kind in ADAPTERS.items():
        assert name == kind.model_fields["kind"].default
        assert name == "scale" or f"`{name}`" in row
