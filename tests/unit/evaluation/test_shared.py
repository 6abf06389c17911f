"""Evaluation measures what a task keeps on the canvas that all stand-ins share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from PIL import Image

from kivfm_cli import app
from kivfm_core.composition.composition import Composition
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Images of several shapes, each in a folder of its class."""
    for name, gray in zip(toy.LABELS, (10, 120, 240), strict=True):
        folder = tmp_path / "labels" / name
        folder.mkdir(parents=True)
        for i in range(4):
            image = Image.effect_noise((40 + 9 * i, 60 - 5 * i), gray)
            image.convert("RGB").save(folder / f"{i}.png")
    return tmp_path / "labels"


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    student = Student(composition).eval()
    student.decoders = {spec.name: Decoders(spec) for spec in composition.teachers}
    write_bundle(student, tmp_path / "student")
    return tmp_path / "student"


@pytest.mark.parametrize(("canvas", "side"), [("auto", 64), (80, 80)])
def test_rows_have_the_score_on_the_shared_canvas(
    bundle: Path, data: Path, canvas: Any, side: int
) -> None:
    found = {row.task: row for row in evaluate(bundle, [str(data)], shared_canvas=canvas).rows}
    row = found["classification"]
    assert row.shared_score is not None and 0 <= row.shared_score <= 1
    assert row.shared_canvas == side and row.pictures == 12


def test_it_is_not_measured_by_default(bundle: Path, data: Path) -> None:
    assert {row.shared_score for row in evaluate(bundle, [str(data)]).rows} == {None}


def test_the_table_has_a_column_and_says_what_is_kept(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["evaluate", str(bundle), "--data", str(data), "--shared-canvas", "auto"]
    assert app.main(given) == 0
    assert "shared" in capsys.readouterr().out
    assert app.main([*given[:-1], "-3"]) == 2
    assert "no number of pixels" in capsys.readouterr().err
