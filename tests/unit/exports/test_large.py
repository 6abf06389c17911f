"""What is too large for one ONNX file has its weights beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kivfm_core.errors import UsageError
from kivfm_core.exports.export import export
from kivfm_core.exports.onnx import start
from kivfm_core.exports.program import features_program
from kivfm_core.exports.quantize import quantize
from kivfm_core.models.open import open_model

MODEL = "dino/nano"


def test_weights_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As if the model had gigabytes."""
    save = torch.onnx.ONNXProgram.save
    monkeypatch.setattr(
        torch.onnx.ONNXProgram, "save", lambda self, to: save(self, to, external_data=True)
    )
    (tmp_path / "there").mkdir()
    (tmp_path / "there/a.onnx.data").write_text("someone's own")
    with pytest.raises(UsageError, match="data is there already, and was not exported"):
        export(MODEL, "onnx", tmp_path / "there/a.onnx")
    (tmp_path / "there/a.onnx.data").unlink()
    done = export(MODEL, "onnx", tmp_path / "there/a.onnx")
    assert done.card["files"] == ["a.onnx", "a.onnx.data"]
    assert done.card["checked"]["bytes"] == sum(
        (tmp_path / "there" / name).stat().st_size for name in done.card["files"]
    )
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    assert start(tmp_path / "elsewhere/a.onnx")(torch.rand(1, 3, 96, 96).numpy())
    with pytest.raises(UsageError, match=r"more than 1\.5 GB, which are not turned to eight bits"):
        quantize(
            features_program(open_model(MODEL, "cpu")), tmp_path / "elsewhere/a.onnx", tmp_path
        )


def test_weights_of_before_go_away(tmp_path: Path):
    for name in ("a.safetensors", "a.safetensors.data", "a.safetensors.json"):
        (tmp_path / name).touch()
    done = export(MODEL, "safetensors", tmp_path / "a.safetensors")
    assert done.card["files"] == ["a.safetensors"]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.safetensors", "a.safetensors.json"]
