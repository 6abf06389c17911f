"""A state dict that `timm.create_model` loads, of a model whose encoder is one of timm's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kivfm_core.data.canvas import normalize
from kivfm_core.errors import UsageError
from kivfm_core.exports.card import KEY
from kivfm_core.exports.program import Program
from kivfm_core.spec import InputContract, TeacherSpec

PREFIX = "timm/"
SPEC = "spec"
# Where the timm model is in a student, and in a teacher's encoder.
PLACES = ("trunk.model.", "model.")


def write(program: Program, card: Mapping[str, Any], file: Path) -> None:
    """Writes the timm model's tensors under timm's names.

    Raises:
        UsageError: If the encoder is not a timm model alone.
    """
    spec = _timm_spec(program.spec)
    state = program.network.state_dict()
    place = next(place for place in PLACES if any(key.startswith(place) for key in state))
    kept = {k.removeprefix(place): v for k, v in state.items() if k.startswith(place)}
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in kept.items()}
    save_file(tensors, file, {KEY: json.dumps(card), SPEC: spec.model_dump_json()})


def _timm_spec(spec: TeacherSpec) -> TeacherSpec:
    """The spec of the timm model that an encoder is."""
    plan: Any = spec.config.get("composition")
    inner = TeacherSpec.model_validate(plan["trunk"]) if plan else spec
    if not inner.name.startswith(PREFIX):
        raise UsageError(f"{inner.name} is no timm model", "--format onnx, or safetensors")
    if plan and plan["adapter"] is not None:
        raise UsageError(
            "the student is a frozen timm model with an adapter beside it, which timm cannot hold",
            "--format onnx, or distill into a backbone of its own: --student timm/NAME",
        )
    return inner


def creation(spec: TeacherSpec) -> dict[str, Any]:
    """The arguments of `timm.create_model`."""
    return {"model_name": spec.config["model"], "num_classes": 0, **spec.config["kwargs"]}


def run(
    file: Path, batches: Sequence[np.ndarray[Any, Any]], prompts: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """`x` of canvases, by the model that timm builds from the file."""
    # Three seconds to import; only this format needs it here.
    import timm

    with safe_open(str(file), "pt") as opened:
        spec = TeacherSpec.model_validate_json(opened.metadata()[SPEC])
    model = timm.create_model(**creation(spec), checkpoint_path=str(file)).eval()
    contract: InputContract = spec.input
    found: list[dict[str, Any]] = []
    for batch in batches:
        with torch.no_grad():
            vector = model(normalize(torch.from_numpy(batch), contract))
        found.append({"x": vector.numpy(), "global": vector.numpy()})
    return found
