"""The plan of a student with a shared head."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import Summary, summarize
from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.recipes.table import RECIPES
from kivfm_core.runs.run import Run
from kivfm_core.student.student import Student

PURPOSE = "toypurpose/small"
SHARING = ("kpu-joint", "kpu-joint-learned")


@pytest.fixture
def joint(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"recipe": "kpu-joint"})


@pytest.mark.parametrize("recipe", SHARING)
def test_the_plan_counts_what_the_student_has(config: RunConfig, recipe: str):
    plan = compose(config.model_copy(update={"recipe": recipe}))
    assert Composition.model_validate_json(plan.model_dump_json()) == plan
    student = Student(plan)
    counts = {name: t.numel() for name, t in student.trained().items()}
    for aligner in plan.aligners:
        own = sum(n for name, n in counts.items() if name.startswith(f"aligners.{aligner.key}."))
        if not aligner.native:
            assert own == aligner.parameters
    head = sum(n for name, n in counts.items() if name.startswith("shared_head."))
    assert plan.shared_head is not None and head == plan.shared_head.parameters
    native = sum(n for name, n in counts.items() if "toybase" in name)
    trained = sum(a.parameters for a in plan.aligners if a.native)
    assert (trained > 0) == (recipe == "kpu-joint-learned")
    native_trained = (p for name, p in student.named_parameters() if "aligners.toybase" in name)
    assert sum(p.numel() for p in native_trained) == trained
    units = len(plan.teachers)
    assert sum(counts.values()) - native - units == plan.trainable - trained


def test_the_head_is_told_of(joint: RunConfig):
    data = summarize(compose(joint))
    assert data["shared_head"]["features"] == ["Z", "z"]
    assert data["features"]["Z"] == [64, "/8"]
    text = Summary({**data, "plan": {"costs": [], "space": None, "why": "x"}}).parts()
    assert [row[:2] for row in text.rows if row[0] == "shared head"] == [("shared head", "Z, z")]


def test_teachers_share_no_more_than_their_levels_have(joint: RunConfig, monkeypatch):
    wide = RECIPES["kpu-joint"].model_copy(update={"shared": 4096})
    monkeypatch.setitem(RECIPES, "kpu-joint", wide)
    head = compose(joint).shared_head
    assert head is not None and head.shared == 48 + 24 + 40  # V's channels, fine, coarse


def test_a_further_level_costs_less_than_a_head_of_its_own(config: RunConfig, joint: RunConfig):
    alone, shared = (sum(a.parameters for a in compose(one).of(PURPOSE)) for one in (config, joint))
    assert shared < alone


@pytest.mark.parametrize("recipe", sorted({*RECIPES} - {*SHARING}))
def test_other_plans_are_written_as_ever(config: RunConfig, recipe: str):
    plan = compose(config.model_copy(update={"recipe": recipe}))
    assert "shared_head" not in plan.model_dump(mode="json")
    assert "shared_head" not in summarize(plan)
    assert {aligner.kind for aligner in plan.aligners} == {"latent", "identity"}


def test_a_teacher_that_is_added_stands_beside_what_is_shared(joint: RunConfig, tmp_path: Path):
    run = Run(tmp_path / "run")
    run.write_plan(joint, compose(joint))
    values = joint.model_dump(by_alias=True, exclude_none=True)
    values["student"]["start"] = str(run.path)
    with pytest.raises(UsageError, match="takes none later"):
        compose(RunConfig.model_validate(values))


def test_a_plan_whose_parts_do_not_fit_is_refused(joint: RunConfig):
    stored = compose(joint).model_dump(mode="json")
    with pytest.raises(ValueError, match="does not fit the shared head"):
        Composition.model_validate({**stored, "shared_head": None})
    stored["shared_head"]["image"]["maps"]["P99"] = 4
    with pytest.raises(ValueError, match="reads P99, which the student lacks"):
        Composition.model_validate(stored)
