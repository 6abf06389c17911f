"""ONNX, written by torch's exporter and run by ONNX Runtime."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from kivfm_core.exports.attention import WithHeads
from kivfm_core.exports.card import KEY
from kivfm_core.exports.program import Program

Arrays = dict[str, np.ndarray[Any, Any]]


def write(program: Program, card: Mapping[str, Any], file: Path) -> None:
    """Writes a program as ONNX with a batch of any size; its card is in the file's metadata."""
    example = program.traced()
    with WithHeads(), warnings.catch_warnings():
        # Canvases and prompts share names of sizes on purpose.
        warnings.filterwarnings("ignore", "# The axis name: (batch|prompts|parts)")
        made = torch.onnx.export(
            program.module,
            example,
            dynamo=True,
            dynamic_shapes=program.dims(),
            input_names=["canvas", *program.example(example[0])],
            output_names=list(program.outputs),
            verbose=False,
        )
    assert made is not None
    made.model.metadata_props[KEY] = json.dumps(card)
    made.save(str(file))


def start(file: Path) -> Callable[..., Arrays]:
    """What gives the outputs of canvases, batch by batch, by ONNX Runtime on the CPU.

    It takes a batch `[B, 3, H, W]`, and a prompt's arrays by name if the file asks for one.
    """
    # An extra: only those who export to ONNX have it.
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(canvases: np.ndarray[Any, Any], prompt: Mapping[str, Any] | None = None) -> Arrays:
        found = cast(list[Any], session.run(None, {"canvas": canvases, **(prompt or {})}))
        return dict(zip(names, found, strict=True))

    return run


def run(
    file: Path, batches: Sequence[np.ndarray[Any, Any]], prompts: Sequence[Mapping[str, Any]] = ()
) -> list[Arrays]:
    """The outputs of canvases, by ONNX Runtime on the CPU."""
    return list(map(start(file), batches, prompts or [{}] * len(batches)))
