"""What a head on a student reads: the student's maps, and its trunk's at several depths."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from head_labels import settings

from kivfm_core.composition.composition import Composition, read_composition
from kivfm_core.composition.head import plan_head, with_depths
from kivfm_core.errors import UsageError
from kivfm_core.head_training.make import train_head
from kivfm_core.heads.table import HEADS
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

PLACES = {"task": "semantic-segmentation", "kind": "dense-linear", "name": "places", "steps": 10}


@pytest.mark.parametrize("kind", [kind for kind in HEADS.values() if kind.reads == "dense"])
def test_a_dense_head_reads_the_students_maps_and_the_bases_depths(
    composition: Composition, kind: object
):
    plan = plan_head(composition, "mine", kind, ("a", "b"))  # pyright: ignore[reportArgumentType]
    own = [known.name for known in composition.maps]
    assert [level.name for level in plan.teachers[-1].levels] == [*own, "D1"]
    assert plan.total == composition.total and plan.reads[: len(composition.reads)]


def test_a_global_head_leaves_the_plan_without_depths(composition: Composition):
    plan = plan_head(composition, "mine", HEADS["linear"], ("a", "b"))
    assert plan.extensions == composition.extensions


def test_a_further_head_reads_the_depths_that_are_there(composition: Composition):
    one = plan_head(composition, "one", HEADS["fpn"], ("a",))
    two = plan_head(one, "two", HEADS["fcos"], ("a",))
    assert two.extensions == one.extensions
    assert two.teachers[-1].levels == one.teachers[-1].levels
    assert with_depths(two) is two


def test_a_bases_level_of_a_maps_name_is_left_out(composition: Composition):
    trunk = composition.trunk
    v = trunk.level(composition.v_level)
    names = [known.name for known in composition.maps]
    more = tuple(v.model_copy(update={"name": name}) for name in (names[-1], "finer"))
    trunk = trunk.model_copy(update={"levels": (*trunk.levels, *more)})
    found = with_depths(composition.model_copy(update={"trunk": trunk}))
    assert [known.name for known in found.maps] == [*names, "D1", "finer"]


def test_depths_come_from_the_students_one_pass(run: Path, maps: str, tmp_path: Path):
    train_head(run, settings(maps, **PLACES), tmp_path / "out")
    train_head(run, settings(maps, **PLACES), tmp_path / "base", base_alone=True)
    student, base = (load_student(tmp_path / name) for name in ("out", "base"))
    passes: list[int] = []
    student.trunk.register_forward_hook(lambda *_: passes.append(1))
    canvas = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        features, frozen, before = student(canvas), base(canvas), load_student(run)(canvas)
    assert len(passes) == 1
    assert torch.equal(features["D1"], frozen["D1"])
    # Beside them all is as it was.
    assert features.keys() - before.keys() == {"D1"}
    assert all(torch.equal(features[name], before[name]) for name in before)
    assert load_student(run).state_dict().keys() == student.state_dict().keys()


def test_a_removed_head_takes_the_depths_with_it(run: Path, maps: str, tmp_path: Path):
    train_head(run, settings(maps, **PLACES), tmp_path / "one")
    less = remove_teacher(tmp_path / "one", "head/places", tmp_path / "less")
    before = read_composition(run).model_dump(mode="json")
    assert read_composition(less).model_dump(mode="json") == before


def test_a_head_reads_what_it_is_told_to(run: Path, maps: str, tmp_path: Path):
    made = train_head(run, settings(maps, **PLACES, reads=("V",)), tmp_path / "out")
    plan = read_composition(made.run)
    assert [level.name for level in plan.teachers[-1].levels] == ["V"]
    assert plan.extensions == ()  # nothing reads depths
    with pytest.raises(UsageError, match="cannot read P5") as error:
        train_head(run, settings(maps, **PLACES, reads=("V", "P5")), tmp_path / "not")
    assert "--reads V," in str(error.value.hint) and not (tmp_path / "not").exists()
