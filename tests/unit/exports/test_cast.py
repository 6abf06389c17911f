"""Exports in 16 bits are half as large, and take and give 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kivfm_core.exports import onnx
from kivfm_core.exports.export import export

LABELS = ["a ring", "a star", "a heart"]


@pytest.mark.parametrize(("format", "dtype"), [("onnx", "fp16"), ("torch-export", "bf16")])
def test_half_the_bytes_and_nearly_the_same(tmp_path: Path, format: str, dtype: str):
    """The classes of the prompt are cast, too."""
    file = tmp_path / ("c.onnx" if format == "onnx" else "c.pt2")
    done = export("clip/nano", format, file, task="zero-shot", labels=LABELS, dtype=dtype)
    assert done.card["precision"] == dtype
    assert 0 < done.errors["logits"] < (0.02 if dtype == "fp16" else 0.1)
    if format == "onnx":
        found = onnx.run(file, [np.random.rand(2, 3, 96, 96).astype(np.float32)])
        assert found[0]["logits"].dtype == np.float32
        assert done.card["checked"]["bytes"] < 1_500_000  # 2.4 MB in 32 bits
