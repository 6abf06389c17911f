"""A student of two nano teachers, and commands on it, for tests of heads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kivfm_cli.app import main

STUDENT = (
    "--teachers", "dino/nano,detector/nano", "--steps", "2", "--batch-size", "4",
    "--image-size", "96", "--set", "optim.calibration=8",
)  # fmt: skip
Captured = pytest.CaptureFixture[str]


def distill(images: Path, out: Path) -> None:
    """Makes the run of such a student."""
    assert main(["distill", *STUDENT, "--data", str(images), "--out", str(out)]) == 0


def answer(capsys: Captured, *words: str) -> dict:
    """What a command says as JSON."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)
