"""Canvases of any size, where the model allows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.errors import UsageError
from kivfm_core.exports import onnx
from kivfm_core.exports.export import export
from kivfm_core.exports.program import Program, task_program
from kivfm_core.exports.score import score
from kivfm_core.models.open import open_model
from kivfm_core.registry.registry import find_task
from kivfm_core.scenes.write import write_scenes
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import load_teacher


def test_one_file_takes_canvases_of_any_size(tmp_path: Path):
    done = export("detector/nano", "onnx", tmp_path / "d.onnx", task="detection", dynamic=True)
    assert done.card["outputs"] == {"boxes": ["B", "varies", 4], "scores": ["B", "varies", 12]}
    assert done.card["input"]["dynamic"] and done.card["input"]["policy"] == "short-side"
    canvases = [np.random.rand(b, 3, h, w).astype(np.float32)
                for b, h, w in ((1, 64, 160), (3, 192, 96))]  # fmt: skip
    found = onnx.run(tmp_path / "d.onnx", canvases)
    model, record = open_model("detector/nano", "cpu"), find_task("detection")
    program = task_program(model, "detector/nano", record, {})
    for canvas, outputs in zip(canvases, found, strict=True):
        right = program.run(torch.from_numpy(canvas))
        assert np.allclose(outputs["boxes"], right["boxes"], atol=1e-2)
        assert np.allclose(outputs["scores"], right["scores"], atol=1e-4)


def test_any_size_scores_what_the_model_scores(tmp_path: Path):
    """Its canvases are the model's own, which keep the shape of an image."""
    write_scenes(tmp_path / "scenes", train=0, val=12, per_class=0)
    model, record = open_model("detector/nano", "cpu"), find_task("detection")
    program = task_program(model, "detector/nano", record, {}, dynamic=True)
    found = score(program, by_torch(program), str(tmp_path / "scenes/val"))
    assert found.own == found.pytorch == found.export > 0.5


def by_torch(program: Program):
    return lambda x: {k: v.numpy() for k, v in program.run(torch.from_numpy(x)).items()}


def test_what_knows_one_size_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("Constraints violated (rows)")

    monkeypatch.setattr("kivfm_core.exports.onnx.write", fail)
    with pytest.raises(UsageError, match="cannot be written for canvases of every size"):
        export("dino/nano", "onnx", tmp_path / "d.onnx", dynamic=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError):
        export("dino/nano", "onnx", tmp_path / "d.onnx")


def test_a_student_is_refused_with_the_reason(tmp_path: Path):
    plan = compose(build_config(None, {"teachers": "dino/nano,detector/nano"}))
    student = Student(plan)
    student.decoders = {spec.name: load_teacher(spec).decoders for spec in plan.teachers}
    write_bundle(student, tmp_path / "student")
    for format, file in (("onnx", "a.onnx"), ("torch-export", "a.pt2")):
        with pytest.raises(UsageError, match="base's canvas is rounded from the one") as caught:
            export(tmp_path / "student", format, tmp_path / file, dynamic=True)
        assert "--height" in caught.value.hint and not (tmp_path / file).exists()
