"""Half precision: a program that computes in 16 bits, and takes and gives 32."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from kivfm_core.exports.program import Program

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class _Cast(nn.Module):
    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        # The model itself stays as it is: the export is compared with it.
        self.module, self.dtype = deepcopy(module).to(dtype), dtype

    def forward(self, canvas: Tensor, *prompt: Tensor) -> tuple[Tensor, ...]:
        given = [x.to(self.dtype) for x in (canvas, *prompt)]
        return tuple(found.float() for found in self.module(*given))


def cast(program: Program, dtype: str) -> Program:
    """The program in `fp16` or `bf16`; in `fp32`, itself."""
    if dtype == "fp32":
        return program
    return replace(program, module=_Cast(program.module, DTYPES[dtype]).eval())
