"""The plan of a student with a shared head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy

from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import Summary, summarize
from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.recipes.table import RECIPES
from kivfm_core.runs.run import Run
from kivfm_core.student.student import Student

PURPOSE = "toypurpose/small"
OTHER = toy.PURPOSE.model_copy(update={"name": "toyother/small", "aliases": ("toyother",)})
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
    newer = {"shared_head", "pretrained", "unfrozen"}
    assert not newer & plan.model_dump(mode="json").keys()
    assert "shared_head" not in summarize(plan)
    assert {aligner.kind for aligner in plan.aligners} == {"latent", "identity"}


def further(earlier: RunConfig, recipe: str, tmp_path: Path) -> RunConfig:
    """One more teacher for a run of a configuration."""
    run = Run(tmp_path / "run")
    run.write_plan(earlier, compose(earlier))
    values = earlier.model_dump(by_alias=True, exclude_none=True)
    values |= {"recipe": recipe, "teachers": [*values["teachers"], {"name": OTHER.name}]}
    values["student"]["start"] = str(run.path)
    return RunConfig.model_validate(values)


def test_a_teacher_that_is_added_takes_what_is_shared(
    joint: RunConfig, register: Callable[..., None], tmp_path: Path
):
    register(toy.BASE, toy.PURPOSE, OTHER)
    plan = compose(further(joint, "kpu-joint", tmp_path))
    assert plan.shared_head == compose(joint).shared_head
    new, old = plan.of(OTHER.name), plan.of(PURPOSE)
    assert {aligner.kind for aligner in new} == {"joint"}
    assert [a.hidden for a in new] == [a.hidden for a in old]
    assert all("Z" not in aligner.maps for aligner in new)  # but by the fitted map
    beside = compose(further(joint, "kpu", tmp_path))
    assert all("Z" in aligner.maps for aligner in beside.of(OTHER.name))
    assert plan.trainable < beside.trainable


def test_a_student_without_a_shared_space_takes_no_teacher_into_it(
    config: RunConfig, register: Callable[..., None], tmp_path: Path
):
    register(toy.BASE, toy.PURPOSE, OTHER)
    with pytest.raises(UsageError, match="the student to start from has none"):
        compose(further(config, "kpu-joint", tmp_path))


def test_a_plan_whose_parts_do_not_fit_is_refused(joint: RunConfig):
    stored = compose(joint).model_dump(mode="json")
    with pytest.raises(ValueError, match="does not fit the shared head"):
        Composition.model_validate({**stored, "shared_head": None})
    stored["shared_head"]["image"]["maps"]["P99"] = 4
    with pytest.raises(ValueError, match="reads P99, which the student lacks"):
        Composition.model_validate(stored)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("shared_head", "image", "latent"), 63, "gives z of two sizes"),
        (("shared_head", "places", "level", "channels"), 10**9, "gives Z of two sizes"),
        (("shared_head", "places", "level", "name"), "Q", "gives Q in place of Z"),
        (("shared_head", "places", "level", "stride"), 10**9, "another grid than V"),
        (("aligners", 0, "shared"), 63, "does not fit the shared head"),
        (("aligners", -1, "shared"), 63, "does not fit the shared head"),
    ],
)
def test_a_shared_head_of_other_sizes_is_refused(
    joint: RunConfig, place: tuple[Any, ...], value: Any, told: str
):
    stored: Any = compose(joint).model_dump(mode="json")
    at = stored
    for key in place[:-1]:
        at = at[key]
    assert at[place[-1]] != value
    at[place[-1]] = value
    with pytest.raises(ValueError, match=told):
        Composition.model_validate(stored)
