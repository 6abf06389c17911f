"""What is evaluated is a model: a teacher alone, or a bundle wherever it was copied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import toy
from PIL import Image

from kivfm_cli import app
from kivfm_core.composition.composition import Composition
from kivfm_core.errors import UsageError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.evaluation.result import Evaluation
from kivfm_core.models.open import open_model
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import load_teacher

GRAYS = dict(zip(toy.LABELS, (10, 120, 240), strict=True))


@pytest.fixture
def grays(tmp_path: Path) -> Path:
    """Four images of each of the toy teacher's classes."""
    for name, gray in GRAYS.items():
        folder = tmp_path / "labels" / name
        folder.mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (40 + i, 40), (gray, gray + i, gray)).save(folder / f"{i}.png")
    return tmp_path / "labels"


@pytest.fixture
def bundle(composition: Composition, toys: dict[str, str], tmp_path: Path) -> Path:
    student = Student(composition).eval()
    loaded = {spec.name: load_teacher(spec, toys[spec.name]) for spec in composition.teachers}
    student.trunk.load_state_dict(loaded["toybase/small"].encoder.state_dict())
    student.decoders = {name: teacher.decoders for name, teacher in loaded.items()}
    write_bundle(student, tmp_path / "student")
    return tmp_path / "student"


def test_a_teacher_is_measured_alone(toys: dict[str, str], grays: Path, tmp_path: Path) -> None:
    name = "toypurpose/small"
    found = evaluate(open_model(name, "cpu", toys[name]), [str(grays)])
    (row,) = found.rows
    assert (row.teacher, row.task, row.pictures) == (name, "classification", 12)
    assert row.teacher_score is not None and row.student_score is row.untrained_score is None
    assert row.retention is row.gain is None and found.student == ""
    assert [(r.metric, r.student_score) for r in found.base] == [
        ("k-NN top-1", None),
        ("linear probe top-1", None),
    ]
    assert all(r.base_score is not None for r in found.base)
    assert not list(tmp_path.rglob("evaluation.json"))


def test_a_teacher_has_no_canvas_to_share(toys: dict[str, str], grays: Path) -> None:
    model = open_model("toypurpose/small", "cpu", toys["toypurpose/small"])
    with pytest.raises(UsageError, match="no canvas to share"):
        evaluate(model, [str(grays)], shared_canvas=64)


def test_a_teacher_that_solves_nothing_has_its_features(
    toys: dict[str, str], grays: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["evaluate", "toybase", "--weights", toys["toybase/small"], "--data", str(grays)]
    assert app.main(given) == 0
    out = capsys.readouterr().out
    assert "own features" in out and "k-NN top-1" in out
    assert "student" not in out and "retention" not in out and "written" not in out


def test_a_bundle_is_measured_alone_where_its_teachers_are_not(
    bundle: Path, grays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "far" / "copy"))
    before = sorted(copy.rglob("*"))
    found = evaluate(copy, [str(grays)])
    (row,) = found.rows
    assert row.student_score is not None and row.teacher_score is row.untrained_score is None
    assert [(r.base_score, r.student_score is None) for r in found.base] == [(None, False)] * 2
    missing = "its weights are not on this machine"
    assert set(found.skipped) >= {f"{n}/small itself: {missing}" for n in ("toybase", "toypurpose")}
    assert sorted(copy.rglob("*")) == before
    assert app.main(["evaluate", str(copy), "--data", str(grays)]) == 0
    out = capsys.readouterr().out
    assert f"not measured: toypurpose/small itself: {missing}" in out
    assert "The student alone" in out and "retention" not in out


def test_a_bundle_is_measured_beside_teachers_that_are_here(
    bundle: Path, toys: dict[str, str], grays: Path, register: Any, tmp_path: Path
) -> None:
    specs = [
        spec.model_copy(
            update={"weights": spec.weights.model_copy(update={"source": f"run:{toys[spec.name]}"})}
        )
        for spec in (toy.BASE, toy.PURPOSE)
    ]
    register(*specs)
    out = tmp_path / "own.json"
    found = evaluate(bundle, [str(grays)], out=out)
    classes = {row.task: row for row in found.rows}["classification"]
    assert classes.teacher_score is not None and classes.student_score is not None
    assert classes.untrained_score is None and classes.gain is None
    # The base solves no task here: its row says how close the student's features are to its own.
    fidelity = {row.task: row for row in found.rows}["fidelity"]
    assert fidelity.base and fidelity.student_score == pytest.approx(1.0, abs=1e-3)
    assert all(None not in (row.base_score, row.student_score) for row in found.base)
    assert Evaluation.model_validate(json.loads(out.read_text())) == found
