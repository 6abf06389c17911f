"""A further teacher for a finished student, and one less, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kivfm_cli import app
from kivfm_core.scenes.write import write_scenes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "scenes", train=8, val=4, seed=0, per_class=1)
    small = ("--steps", "2", "--batch-size", "2", "--image-size", "64",
             "--set", "optim.calibration=8")  # fmt: skip
    data = ("--data", str(tmp_path / "scenes/train/images"))
    path = tmp_path / "first"
    assert app.main(["distill", "--teachers", "dino/nano,sam/nano", *data, *small,
                     "--out", str(path)]) == 0  # fmt: skip
    return path


def rows(run: Path) -> dict[str, dict]:
    data = str(run.parent / "scenes/val")
    assert app.main(["evaluate", str(run), "--data", data]) == 0
    made = json.loads((run / "evaluation.json").read_text())
    return {row["teacher"]: row for row in made["rows"]}


def trips(run: Path) -> set[str]:
    """Whose levels a run says the round trip of."""
    kept = json.loads((run / "environment.json").read_text())["round_trip"]
    return {level.partition(":")[0] for level in kept}


def test_a_teacher_more_and_one_less(run: Path, capsys: pytest.CaptureFixture[str]):
    more, less = run.parent / "more", run.parent / "less"
    words = ["--from", str(run), "--add-teacher", "clip/nano"]
    assert app.main(["distill", *words, "--out", str(more)]) == 0
    before, after = rows(run), rows(more)
    assert set(after) == {"dino/nano", "sam/nano", "clip/nano"}
    for teacher in before:
        assert after[teacher] == before[teacher]
    assert app.main(["runs", "remove", str(more), "sam/nano", "--out", str(less)]) == 0
    left = rows(less)
    assert set(left) == {"dino/nano", "clip/nano"} and left["clip/nano"] == after["clip/nano"]
    assert [trips(r) for r in (run, more, less)] == [set(r) for r in (before, after, left)]
    plan = ["--teachers", "dino/nano,sam/nano,segmenter/nano", "--set", f"student.start={run}"]
    capsys.readouterr()
    assert app.main(["compose", *plan]) == 0
    assert "the shared latent keeps all of every level" in capsys.readouterr().out


def test_what_goes_together_is_said(run: Path, capsys: pytest.CaptureFixture[str]):
    for words in (["--from", str(run)], ["--add-teacher", "clip/nano"],
                  ["--from", str(run), "--add-teacher", "clip", "--teachers", "dino"]):  # fmt: skip
        assert app.main(["distill", *words]) == 2
        assert "hint: kivfm distill --from RUN --add-teacher NAME" in capsys.readouterr().err
    assert app.main(["distill", "--from", str(run), "--add-teacher", "sam/nano"]) == 2
    assert "error: " in capsys.readouterr().err
