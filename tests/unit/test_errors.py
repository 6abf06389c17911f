"""Memory that runs out is a sentence, wherever it is wanted: in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from kivfm_cli.app import main
from kivfm_core.errors import KivfmError, out_of_memory_said
from kivfm_core.prediction import predict as module


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("can't allocate memory: you tried to allocate 9 bytes"),
     torch.OutOfMemoryError("CUDA out of memory")],
)  # fmt: skip
def test_memory_that_runs_out_is_a_sentence(error: Exception):
    with pytest.raises(KivfmError, match="out of memory") as caught, out_of_memory_said():
        raise error
    assert caught.value.hint and caught.value.__cause__ is error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes differ"), out_of_memory_said():
        raise RuntimeError("shapes differ")


def test_a_prediction_without_memory_is_a_sentence(tmp_path: Path, monkeypatch, capsys):
    def full(path: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr(module, "read_image", full)
    with pytest.raises(KivfmError, match="out of memory"):
        module.predict("detector/nano", tmp_path / "a.png", "detection")
    words = ["predict", "detector/nano", str(tmp_path / "a.png"), "--task", "detection"]
    assert main(words) == 1
    assert "error: out of memory" in capsys.readouterr().err
