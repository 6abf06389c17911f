"""Every task of a model is solved after one pass, those without a prompt alone by default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from oracle import Oracle, oracle_spec
from PIL import Image

from kivfm_cli import app
from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import make_canvases
from kivfm_core.errors import UsageError
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.models.teacher_model import TeacherModel
from kivfm_core.prediction.all_tasks import predict_all
from kivfm_core.prediction.predict import read_image
from kivfm_core.predictions import ClassLogits
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders


@pytest.fixture
def model(composition: Composition, tmp_path: Path) -> StudentModel:
    torch.manual_seed(0)
    student = Student(composition).eval()
    student.decoders = {spec.name: Decoders(spec) for spec in composition.teachers}
    write_bundle(student, tmp_path / "student")
    opened = open_model(tmp_path / "student", "cpu")
    assert isinstance(opened, StudentModel)
    return opened


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.effect_noise((90, 60), 80).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize(("canvas", "seen"), [(None, (64, 96)), (80, (80, 128))])
def test_one_pass_on_one_canvas(model: StudentModel, image: Path, canvas: Any, seen: Any):
    sizes: list[tuple[int, ...]] = []
    model.student.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape[-2:])))
    results = predict_all(model, image, canvas=canvas)
    every = [(spec.name, task.task) for spec in model.specs for task in spec.tasks]
    assert [(found.teacher, found.task) for found in results] == every and len(every) > 1
    assert sizes == [seen]


def test_on_their_own_canvases_tasks_are_solved_as_alone(model: StudentModel, image: Path):
    (first, *_) = predict_all(model, image, canvas="own")
    solver = model.solver(first.teacher)
    levels = solver.encode(*make_canvases([read_image(image)], solver.spec.input))
    logits = solver.decode(first.task, levels).numbers()[0]
    best = max(item["probability"] for item in first.found)
    assert best == pytest.approx(float(logits.softmax(0).max()))


def test_a_drawing_for_each_task(model: StudentModel, image: Path, tmp_path: Path):
    results = predict_all(model, image, out=tmp_path / "drawn")
    names = {file.stem for file in (tmp_path / "drawn").iterdir()}
    assert names == {found.task for found in results}


def test_a_teacher_solves_all_of_its_own(image: Path, monkeypatch: pytest.MonkeyPatch):
    spec = oracle_spec({"classification": ("a", "b"), "zero-shot": "open"})
    teacher = TeacherModel("oracle", spec, torch.device("cpu"), None)
    oracle = Oracle(spec, lambda levels, prompt: ClassLogits(torch.tensor([[0.0, 3.0]])))
    monkeypatch.setattr(TeacherModel, "solver", lambda self, name: oracle)
    assert [found.task for found in predict_all(teacher, image)] == ["classification"]
    both = predict_all(teacher, image, labels=["cat", "dog"])
    assert [(f.task, f.found[0]["label"]) for f in both] == [
        ("classification", "b"),
        ("zero-shot", "dog"),
    ]
    with pytest.raises(UsageError, match="takes points"):
        predict_all(teacher, image, points=[(1, 1)])
    with pytest.raises(UsageError, match="cat is named twice"):
        predict_all(teacher, image, labels=["cat", "cat"])


def test_the_command(model: StudentModel, image: Path, capsys: pytest.CaptureFixture[str]):
    given = ["predict", str(model.bundle), str(image), "--task", "all"]
    assert app.main([*given, "--canvas", "80", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    tasks = [found["task"] for found in record["predictions"]]
    assert record["schema"] == 1 and len(tasks) > 1
    assert app.main([*given, "--canvas", "own"]) == 0
    out = capsys.readouterr().out
    assert all(task in out for task in tasks)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task", "all", "--canvas", "wide"], "no number of pixels"),
        (["--task", "all", "--canvas", "2"], "too small"),
        (["--task", "all", "--teacher", "toypurpose"], "--teacher is for one task"),
        (["--task", "classification", "--canvas", "64"], "--canvas is the canvas of all tasks"),
    ],
)
def test_what_does_not_go_together_is_refused(
    model: StudentModel, image: Path, flags: list[str], said: str, capsys: Any
):
    assert app.main(["predict", str(model.bundle), str(image), *flags]) == 2
    assert said in capsys.readouterr().err
