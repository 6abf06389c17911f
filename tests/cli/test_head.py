"""`kivfm head`: what is refused before anything is computed, and what its help says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_cli.app import main
from kivfm_core.head_training import make
from kivfm_core.head_training.make import HeadResult
from kivfm_core.head_training.settings import HeadSettings


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    code = main([*line.split()])
    out, err = capsys.readouterr()
    return code, out, err


def test_what_cannot_be_trained_is_refused_with_what_can(capsys: pytest.CaptureFixture[str]):
    rest = "--data here --val there --out new"
    code, _, err = run(capsys, f"head nowhere --task zero-shot {rest}")
    assert code == 2 and "no kind of head solves zero-shot" in err
    assert "heads solve: classification, semantic-segmentation" in err
    code, _, err = run(capsys, f"head nowhere --task clasification {rest}")
    assert code == 2 and "classification" in err
    code, _, err = run(capsys, f"head nowhere --task classification {rest}")
    assert code == 2 and "no teacher is named 'nowhere'" in err


def test_the_help_ends_with_the_kinds(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "head --help")
    assert code == 0 and "Kinds of heads:" in out and "dense-linear: A 1 x 1 convolution" in out


def test_what_moved_is_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    asked: list[HeadSettings] = []

    def train(model: str, settings: HeadSettings, out: Path, **more: object) -> HeadResult:
        asked.append(settings)
        moved = {"dino/nano": {"x": 0.0125, "V": 0.5}}
        return HeadResult(out, "head/linear", "accuracy", 1.0, 1, 1, 2, ("a", "b"), (), moved)

    monkeypatch.setattr(make, "train_head", train)
    line = f"head here --task classification --data a --val b --out {tmp_path / 'new'}"
    code, out, _ = run(capsys, f"{line} --unfreeze adapter --keep 0.5")
    assert code == 0 and asked[0].unfreeze == "adapter" and asked[0].keep == 0.5
    assert [text.split() for text in out.splitlines()[-3:]] == [
        ["stand-in", "level", "moved"],
        ["dino/nano", "x", "1.2%"],
        ["dino/nano", "V", "50.0%"],
    ]
    code, _, _ = run(capsys, f"{line} --reads V,D1")
    assert code == 0 and asked[0].reads is None and asked[1].reads == ("V", "D1")
    code, _, _ = run(capsys, f"{line} --unfreeze base")
    assert code == 2
    code, _, _ = run(capsys, f"{line} --keep -1")
    assert code == 2
