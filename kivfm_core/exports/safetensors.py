"""Weights as safetensors, with a plain JSON of the architecture in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kivfm_core.data.canvas import normalize
from kivfm_core.exports.card import KEY
from kivfm_core.exports.program import Program
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import TeacherSpec

ARCHITECTURE = "architecture"


def write(program: Program, card: Mapping[str, Any], file: Path) -> None:
    """Writes the encoder's tensors, and the spec from which kivfm builds the encoder again."""
    # Tensors that share memory are refused by the format.
    state = {k: v.detach().clone().contiguous() for k, v in program.network.state_dict().items()}
    architecture = program.spec.model_dump_json()
    save_file(state, file, {KEY: json.dumps(card), ARCHITECTURE: architecture})


def run(
    file: Path, batches: Sequence[np.ndarray[Any, Any]], prompts: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The outputs of canvases, by an encoder that is built from the file alone."""
    with safe_open(str(file), "pt") as opened:
        spec = TeacherSpec.model_validate_json(opened.metadata()[ARCHITECTURE])
    network = resolve_reference(spec.encoder)(spec).eval()
    network.load_state_dict(load_file(file))
    found: list[dict[str, Any]] = []
    for batch in batches:
        with torch.no_grad():
            levels = network(normalize(torch.from_numpy(batch), spec.input))
        found.append({name: level.numpy() for name, level in levels.items()})
    return found
