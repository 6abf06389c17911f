"""`kivfm head`: what is refused before anything is computed, and what its help says."""

from __future__ import annotations

import pytest

from kivfm_cli.app import main


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
