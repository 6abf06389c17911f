"""ONNX, written by torch's exporter and run by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from kivfm_core.exports.card import KEY
from kivfm_core.exports.program import TRACED, Program

Arrays = dict[str, np.ndarray[Any, Any]]


def write(program: Program, card: Mapping[str, Any], file: Path) -> None:
    """Writes a program as ONNX with a batch of any size; its card is in the file's metadata."""
    example = torch.rand(TRACED, 3, *program.size)
    made = torch.onnx.export(
        program.module,
        (example,),
        dynamo=True,
        dynamic_shapes=program.dims(),
        input_names=["canvas"],
        output_names=list(program.outputs),
        verbose=False,
    )
    assert made is not None
    made.model.metadata_props[KEY] = json.dumps(card)
    made.save(str(file))


def start(file: Path) -> Callable[[np.ndarray[Any, Any]], Arrays]:
    """What gives the outputs of canvases, batch by batch, by ONNX Runtime on the CPU."""
    # An extra: only those who export to ONNX have it.
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(canvases: np.ndarray[Any, Any]) -> Arrays:
        found = cast(list[Any], session.run(None, {"canvas": canvases}))
        return dict(zip(names, found, strict=True))

    return run


def run(file: Path, batches: Sequence[np.ndarray[Any, Any]]) -> list[Arrays]:
    """The outputs of canvases, by ONNX Runtime on the CPU."""
    return list(map(start(file), batches))
