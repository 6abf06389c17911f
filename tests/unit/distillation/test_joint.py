"""A run of the recipe with a shared head: what it leaves behind, and that it goes on exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toy

from kivfm_core.aligners.joint import JointAligner
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.loaded.load import load
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student
from kivfm_core.student.student import Student

PURPOSE = "toypurpose/small"
SIDES = (64, 64)
OTHER = toy.PURPOSE.model_copy(update={"name": "toyother/small", "aliases": ("toyother",)})


@pytest.fixture
def joint(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"recipe": "kpu-joint"})


def features(student: Student) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    with torch.no_grad():
        return student(torch.rand(1, 3, *SIDES))


def test_a_run_says_what_its_teachers_share(joint: RunConfig, tmp_path: Path):
    run = distill(joint, out=tmp_path / "run")
    environment = json.loads((run / "environment.json").read_text())
    shared = environment["shared"]
    assert len(shared["eigenvalues"]) == 64 and 1 < shared["eigenvalues"][0] <= 3
    assert 0 < shared["others"][PURPOSE] <= 1
    assert all(share > 0.99 for share in environment["round_trip"].values())
    student = load_student(run)
    found = features(student)
    assert found["z"].shape == (1, 64) and found["Z"].shape == (1, 64, 8, 8) and found["Z"].any()
    seen = load(run).features(tmp_path / "pictures" / "00.png")
    assert seen.maps["Z"].shape[:2] == (1, 64)


@pytest.fixture
def earlier(joint: RunConfig, register: Callable[..., None], tmp_path: Path) -> Path:
    made = distill(joint, out=tmp_path / "earlier")
    register(toy.BASE, toy.PURPOSE, OTHER)
    toy.save(OTHER, tmp_path / "other.safetensors")
    return made


def further(earlier: Path, **changed: Any) -> RunConfig:
    """One more teacher for a run, with the run's own settings where no others are given."""
    values = open_run(earlier).config.model_dump(by_alias=True, exclude_none=True)
    values |= {"teachers": [*values["teachers"], {"name": OTHER.name}], **changed}
    values["weights"][OTHER.name] = str(earlier.parent / "other.safetensors")
    values["student"]["start"] = str(earlier)
    return RunConfig.model_validate(values)


def levels(student: Student, teacher: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(student.stand_in(teacher).encode(torch.rand(2, 3, *SIDES), []))


def test_a_further_teacher_is_fitted_to_what_is_shared(earlier: Path, tmp_path: Path):
    run = open_run(distill(further(earlier), out=tmp_path / "more"))
    old, new = load_student(earlier), run.load_student()
    before, after = features(old), features(new)
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    for teacher in ("toybase/small", PURPOSE):
        told, tells = levels(old, teacher), levels(new, teacher)
        assert all(torch.equal(told[name], tells[name]) for name in told)
    shared, alone = (open_run(p).environment["shared"] for p in (run.path, earlier))
    assert shared["eigenvalues"] == alone["eigenvalues"]
    assert shared["teachers"] == alone["teachers"]
    assert {*shared["others"]} == {*alone["others"], OTHER.name}
    assert 0 < shared["others"][OTHER.name] < 1
    aligner = new.aligner(OTHER.name, "coarse")
    assert isinstance(aligner, JointAligner) and aligner.shared_map.out.any()
    assert aligner.shared_map.into.any()


def test_a_further_teacher_reads_what_is_shared(earlier: Path, tmp_path: Path):
    run = open_run(distill(further(earlier, recipe="kpu"), out=tmp_path / "more"))
    assert all("Z" in plan.maps for plan in run.composition.of(OTHER.name))
    before, after = (features(load_student(path)) for path in (earlier, run.path))
    assert torch.equal(before["Z"], after["Z"]) and torch.equal(before["z"], after["z"])
    assert run.environment["shared"] == open_run(earlier).environment["shared"]
    # Before it learned, a stand-in knew the mean of its teacher's levels and nothing else.
    untrained = run.load_student(untrained=True).stand_in(PURPOSE)
    coarse = untrained.levels(before, SIDES)["coarse"]
    assert torch.allclose(coarse, coarse[:, :, :1, :1].expand_as(coarse), atol=1e-3)


def test_what_teachers_share_forgets_a_removed_one(earlier: Path, tmp_path: Path):
    more = distill(further(earlier), out=tmp_path / "more")
    less = remove_teacher(more, PURPOSE, tmp_path / "less")
    shared = open_run(less).environment["shared"]
    assert OTHER.name in shared["others"]
    assert PURPOSE not in json.dumps({k: shared[k] for k in ("levels", "teachers", "others")})
