"""A teacher may have the name of one of the student's own outputs: nothing depends on names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toy
from cached import batches, with_cache

from kivfm_core.config import RunConfig
from kivfm_core.distillation.cache_build.build import build
from kivfm_core.distillation.engine import distill
from kivfm_core.progress import Silent
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

NAMES = ("trunk/small", "trunk", "canvas")


def spec(name: str) -> TeacherSpec:
    return toy.PURPOSE.model_copy(update={"name": name, "aliases": ()})


def renamed(config: RunConfig, name: str) -> RunConfig:
    """The same run with another name for its second teacher."""
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["teachers"] = ["toybase", name]
    values["weights"] = {toy.BASE.name: config.weights[toy.BASE.name]}
    values["weights"][name] = config.weights[toy.PURPOSE.name]
    return RunConfig.model_validate(values)


def outcome(config: RunConfig, name: str, out: Path) -> tuple[list[float], list[torch.Tensor]]:
    """The losses of a run, and all that its student has learned."""
    run = distill(renamed(config, name), out=out)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["losses"].keys() == {toy.BASE.name, name}
    student = load_student(run)
    assert student.stand_in(name).spec.name == name
    return [line["loss"] for line in lines], list(student.state_dict().values())


@pytest.mark.parametrize("stored", ["fresh", "memory", "disk"])
def test_students_do_not_depend_on_a_teachers_name(
    config: RunConfig, register: Callable[..., None], tmp_path: Path, stored: str
):
    register(toy.BASE, toy.PURPOSE, *(spec(name) for name in NAMES))
    cache = tmp_path / "cache" if stored == "disk" else None
    made = with_cache(config, cache, views=0 if stored == "fresh" else 2)
    losses, state = outcome(made, toy.PURPOSE.name, tmp_path / "usual")
    for i, name in enumerate(NAMES):
        others, other = outcome(made, name, tmp_path / str(i))
        assert others == losses
        assert all(torch.equal(a, b) for a, b in zip(state, other, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_built_ahead_holds_the_teachers_outputs(
    config: RunConfig, register: Callable[..., None], tmp_path: Path, name: str
):
    register(toy.BASE, spec(name))
    disk = renamed(with_cache(config, tmp_path / "cache"), name)
    assert [share.views for share in build(disk, Silent())] == [24, 24]
    assert not any(share.views for share in build(disk, Silent()))
    memory = batches(renamed(with_cache(config, None), name))
    for one, two in zip(memory, batches(disk), strict=True):
        assert len(one) == 1 + 3 + 4  # the canvas, the teacher's levels, and the trunk's tensors
        assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
