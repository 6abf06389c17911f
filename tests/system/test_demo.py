"""`kivfm demo`, which `make demo` runs; shortened: fewer images and steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kivfm_cli.app import main
from kivfm_cli.commands import demo
from kivfm_core.scenes.render import render
from kivfm_core.scenes.vocabulary import DOMAINS
from kivfm_core.scenes.write import VAL_START

COMMAND = (sys.executable, "-m", "kivfm_cli.app", "demo")


def test_the_click_is_on_an_object():
    index = int(demo.IMAGE.partition(".")[0])
    scene = render(0, VAL_START + index, DOMAINS[index % len(DOMAINS)])
    x, y = map(int, demo.CLICK.split(","))
    assert scene.semantic[y, x] > 0


def test_without_its_teachers_it_says_how_to_get_them(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "find_spec", {}.get)
    assert main(["demo"]) == 3
    assert "hint: pip install 'kivfm[nano]'" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_other_images_in_its_place_stay(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine-data").mkdir()
    (tmp_path / "mine-data/a.jpg").touch()
    assert main(["demo", "--out", "mine"]) == 2
    assert "hint: kivfm demo --out mine-2" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["mine-data", "a.jpg"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_student_improves_at_every_task_and_keeps_its_base(tmp_path: Path):
    size = ("--steps", "250", "--train", "250", "--val", "60", "--out", "runs/short")
    done = subprocess.run([*COMMAND, *size], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs/short"
    evaluation = json.loads((run / "evaluation.json").read_text())
    purpose = [row for row in evaluation["rows"] if not row["base"]]
    assert {row["task"] for row in purpose} == {
        "zero-shot", "promptable-segmentation", "detection", "instance-segmentation",
        "semantic-segmentation",
    }  # fmt: skip
    for row in purpose:
        assert row["student_score"] > row["untrained_score"], row
    (knn,) = (row for row in evaluation["base"] if row["metric"].startswith("k-NN"))
    assert knn["student_score"] > knn["base_score"] - 0.02
    assert "The student beside its teachers" in done.stdout
    tasks = {row["task"] for row in purpose} - {"zero-shot"}
    assert {file.stem for file in (run / "predictions").iterdir()} == tasks
