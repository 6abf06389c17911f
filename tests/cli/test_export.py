"""`kivfm export`: what it says and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kivfm_cli.app import main


def kivfm(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["export", *words])
    return code, *capsys.readouterr()


def test_it_says_how_far_the_file_is_from_its_model(tmp_path: Path, capsys: Any):
    file = tmp_path / "dino.safetensors"
    words = ("dino/nano", "--format", "safetensors", "-o", str(file))
    code, out, _ = kivfm(capsys, *words)
    assert code == 0 and ": largest error 0.0e+00 of its largest value\n" in out
    assert out.endswith(f"checked on 9 images\nwritten: {file}, dino.safetensors.json\n")
    code, out, _ = kivfm(capsys, *words, "--height", "48", "--width", "64", "--json")
    card = json.loads(out)
    assert code == 0 and (card["input"]["height"], card["input"]["width"]) == (48, 64)
    assert card == json.loads((tmp_path / "dino.safetensors.json").read_text())


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["dino/nano", "--format", "onnx", "--height", "96"], "--height 224 --width 224"),
        (["clip/nano", "--format", "onnx", "--task", "zero-shot"], '--labels "a cat,a dog"'),
        (["dino/nano", "--format", "timm"], "-o {}/a.safetensors"),
    ],
)
def test_what_is_wrong_comes_with_a_hint(tmp_path: Path, capsys: Any, words, hint):
    code, _, err = kivfm(capsys, *words, "-o", str(tmp_path / "a.onnx"))
    assert code == 2 and f"hint: {hint.format(tmp_path)}" in err
    assert not [*tmp_path.iterdir()]
