"""A student that is trained together with its head."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from head_labels import settings, stop_at

from kivfm_core.composition.composition import read_composition
from kivfm_core.config import RunConfig, StudentConfig, TeacherChoice
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.head_training.make import train_head
from kivfm_core.runs.remove_teacher import remove_teacher
from kivfm_core.runs.run import open_run
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

PARTS = ("adapter", "all")


def changed(one: Path, other: Path) -> set[str]:
    """The parts of the students of two runs whose weights differ."""
    before, after = (load_student(run).state_dict() for run in (one, other))
    before.pop("readout_units")  # one for each teacher, heads included
    return {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}


def far(changes: dict[str, dict[str, float]]) -> float:
    return max(change for levels in changes.values() for change in levels.values())


@pytest.mark.parametrize(
    ("part", "trained"),
    [("none", set()), ("adapter", {"adapter"}), ("all", {"trunk", "adapter", "aligners"})],
)
def test_what_is_unfrozen_changes_and_nothing_else(
    run: Path, colors: str, tmp_path: Path, part: str, trained: set[str]
):
    made = train_head(run, settings(colors, steps=10, unfreeze=part), tmp_path / "out")
    assert changed(run, made.run) == trained
    assert set(made.changes) == ({"toybase/small", "toypurpose/small"} if trained else set())
    record = json.loads((made.run / "heads/head--mine.json").read_text())
    assert record["changes"] == made.changes and record["settings"]["unfreeze"] == part
    rows = evaluate(made.run, [f"classification={colors}"]).rows
    (row,) = [row for row in rows if row.teacher == "head/mine"]
    assert row.student_score == pytest.approx(made.score)  # the student of the best step, too


@pytest.mark.parametrize("part", PARTS)
def test_the_penalty_keeps_stand_ins_where_they_were(
    run: Path, colors: str, tmp_path: Path, part: str
):
    kept, free = (
        train_head(run, settings(colors, steps=10, unfreeze=part, keep=keep), tmp_path / f"{keep}")
        for keep in (10.0, 0.0)
    )
    assert 0 < far(kept.changes) < far(free.changes) / 2
    assert not any("--keep 0" in note for note in kept.notes)
    assert any("--keep 0" in note for note in free.notes)


@pytest.mark.parametrize("part", PARTS)
def test_a_try_that_was_stopped_ends_as_one_that_was_not(
    run: Path, colors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
):
    made = settings(colors, steps=4, every=2, batch_size=4, unfreeze=part, augment=True)
    whole = train_head(run, made, tmp_path / "whole")
    stop_at(2, monkeypatch, lambda: train_head(run, made, tmp_path / "again"))
    torch.manual_seed(1)  # whatever another process had drawn
    again = train_head(run, made, tmp_path / "again")
    assert changed(whole.run, again.run) == set() and again.changes == whole.changes
    one, other = (load_student(x.run).decoders["head/mine"].state_dict() for x in (whole, again))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_an_earlier_head_is_among_what_moved(run: Path, colors: str, tmp_path: Path):
    train_head(run, settings(colors, steps=10), tmp_path / "one")
    second = settings(colors, steps=10, name="b", unfreeze="adapter")
    made = train_head(tmp_path / "one", second, tmp_path / "two")
    assert "x" in made.changes["head/mine"] and "head/b" not in made.changes


def test_a_changed_base_is_said_and_its_start_is_kept(run: Path, colors: str, tmp_path: Path):
    made = train_head(run, settings(colors, steps=10, unfreeze="all"), tmp_path / "out")
    plan = read_composition(made.run)
    assert plan.unfrozen == "all" and plan.trainable == plan.total
    card = (made.run / "student/README.md").read_text()
    assert "its weights are not those that the makers of its base published" in card
    # The student before its first step has the base as it was, and so has the base alone.
    first = [open_run(one).load_student(untrained=True) for one in (run, made.run)]
    alone = train_head(made.run, settings(colors, steps=10), tmp_path / "alone", base_alone=True)
    old, *same = (one.trunk.state_dict() for one in (*first, load_student(alone.run)))
    assert all(torch.equal(value, one[key]) for one in same for key, value in old.items())
    # What is made from the changed student has the changed base.
    more = train_head(made.run, settings(colors, steps=10, name="b"), tmp_path / "more")
    less = remove_teacher(more.run, "head/b", tmp_path / "less")
    assert read_composition(less).unfrozen == "all"
    assert changed(made.run, more.run) == changed(made.run, less) == set()


def test_a_student_whose_base_was_changed_learns_no_further_teachers(
    run: Path, config: RunConfig, colors: str, tmp_path: Path
):
    made = train_head(run, settings(colors, steps=10, unfreeze="all"), tmp_path / "out")
    names = ("toybase/small", "toypurpose/small", "head/mine")
    start = StudentConfig(start=str(made.run))
    teachers = tuple(TeacherChoice(name=name) for name in names)
    more = config.model_copy(update={"teachers": teachers, "student": start})
    with pytest.raises(UsageError, match="was trained with a head"):
        distill(more, out=tmp_path / "both")


def test_a_teacher_is_fine_tuned_and_its_card_says_so(
    toys: dict[str, str], colors: str, tmp_path: Path
):
    name, file = "toypurpose/small", toys["toypurpose/small"]
    with pytest.raises(UsageError, match="no adapter with weights to train"):
        train_head(name, settings(colors, unfreeze="adapter"), tmp_path / "out", weights=file)
    tuned = settings(colors, steps=10, unfreeze="all")
    made = train_head(name, tuned, tmp_path / "out", weights=file)
    assert far(made.changes) > 0 and made.changes.keys() == {name}
    card = (made.run / "student/README.md").read_text()
    assert "nothing was distilled. Trained on labels: head/mine. The whole encoder was" in card
    assert "as its makers published it" not in card
    rows = evaluate(made.run, [f"classification={colors}"]).rows
    (row,) = [row for row in rows if row.teacher == "head/mine"]
    assert row.student_score == pytest.approx(made.score)
