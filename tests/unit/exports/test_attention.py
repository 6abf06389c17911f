"""Attention of every form is translated to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kivfm_core.exports import onnx
from kivfm_core.exports.program import Program, features_program
from kivfm_core.models.open import open_model


class Attending(nn.Module):
    """Attention between the rows of canvases, without a dimension of heads, and with a mask."""

    def __init__(self, mask: Tensor | None) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, canvas: Tensor) -> tuple[Tensor, ...]:
        rows = canvas.flatten(0, 1)
        mask = self.mask if self.mask is None or self.mask.ndim == 2 else self.mask + rows[:, :, :1]
        return (F.scaled_dot_product_attention(rows, rows, rows, attn_mask=mask),)


@pytest.mark.parametrize("mask", [None, torch.rand(16, 16), torch.rand(1, 16, 16)])
def test_attention_without_heads(mask: Tensor | None, tmp_path: Path):
    network: Any = Attending(mask).eval()
    spec = features_program(open_model("dino/nano", "cpu"))
    program = Program(network, network, spec.spec, ("out",), spec.contract, (16, 16))
    onnx.write(program, {}, tmp_path / "a.onnx")
    canvases = torch.rand(3, 3, 16, 16)
    (found,) = onnx.run(tmp_path / "a.onnx", [canvases.numpy()])
    assert torch.allclose(torch.from_numpy(found["out"]), program.run(canvases)["out"], atol=1e-5)
