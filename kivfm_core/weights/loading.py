"""Weights: read without executing code, split into parts, loaded completely or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kivfm_core.errors import WeightsError
from kivfm_core.files import is_link
from kivfm_core.reference import resolve_reference
from kivfm_core.run_files import DECODERS, STUDENT_CARD, STUDENT_STATE
from kivfm_core.spec import TeacherSpec

State = Mapping[str, Tensor]
# How torch reports that a pickle names a function or class that weights do not need.
REFUSED = re.compile(r"GLOBAL [\w.]+ (was not an allowed|whose module)")


@dataclass(frozen=True)
class Provenance:
    """Which weights were loaded: always printed, and stored in the run.

    Attributes:
        source: File, or source as in the spec.
        sha256: SHA-256 of the file, in hexadecimal.
        keys: Number of tensors, all of which matched.
    """

    source: str
    sha256: str
    keys: int

    def __str__(self) -> str:
        return f"{self.source} (sha256 {self.sha256[:12]}, {self.keys} tensors matched)"


def read_state(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name from safetensors or a `torch.save` file; never executes code.

    Raises:
        WeightsError: If the file is truncated, holds code, or is something else.
    """
    if not path.is_file():  # a pipe would keep the reader waiting
        raise WeightsError(f"no weights file {path}", "pass a .safetensors or state_dict file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # The unpickler raises all kinds of errors on other files.
        if REFUSED.search(str(error)):
            raise WeightsError(
                f"{path} is a pickle with code in it; nothing of it was executed",
                "save its state_dict as safetensors where you trust it, and pass that file",
            ) from error
        raise WeightsError(
            f"{path} cannot be read as weights: truncated, or another format",
            "fetch it again, or pass a .safetensors or state_dict file",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} holds no plain dictionary of tensors", "pass a state_dict file")
    return cast(dict[str, Tensor], state)


def read_own_state(path: Path) -> dict[str, Tensor]:
    """Reads a file of a run's own folder, in which a link leads nowhere.

    Raises:
        WeightsError: As `read_state`, or if it is a link.
    """
    if is_link(path):
        raise WeightsError(f"{path} is a link, and not followed", "put the file itself there")
    return read_state(path)


def read_bundle_state(state: Path) -> dict[str, Tensor]:
    """Reads all weights of a student's bundle: its own, and each decoder's as `decoders/NAME/KEY`.

    Args:
        state: The file of the student's own weights; decoders lie in a folder beside it.

    Raises:
        WeightsError: As `read_own_state`.
    """
    whole = read_own_state(state)
    for file in sorted((state.parent / DECODERS).glob("*.safetensors")):
        own = read_own_state(file)
        whole |= {f"{DECODERS}/{file.stem}/{key}": value for key, value in own.items()}
    return whole


def load_strict(module: nn.Module, state: State, what: str) -> int:
    """Loads a state of exactly the module's keys and shapes; returns how many tensors.

    Raises:
        WeightsError: Naming what is missing, left over, of another shape or kind of number, or not
            a number; the module is then unchanged.
    """
    own = module.state_dict()
    problems = [f"{len(k)} {word} ({', '.join(sorted(k)[:3])}{', ...' if len(k) > 3 else ''})"
                for word, k in (("missing", own.keys() - state.keys()),
                                ("left over", state.keys() - own.keys())) if k]  # fmt: skip
    pairs = [(key, own[key], state[key]) for key in sorted(own.keys() & state.keys())]
    problems += [text for pair in pairs if (text := _mismatch(*pair))][:3]
    if problems:
        raise WeightsError(
            f"the weights do not fit {what}: " + "; ".join(problems),
            "pass the file of this very architecture with --weights",
        )
    module.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()}, strict=True)
    return len(own)


def _mismatch(key: str, own: Tensor, given: Tensor) -> str:
    """What is wrong with a given tensor in place of a module's own; nothing if it fits."""
    if given.shape != own.shape:
        return f"{key}: {tuple(given.shape)} instead of {tuple(own.shape)}"
    # Weights come in any precision, but never as whole numbers or complex ones.
    if given.is_floating_point() != own.is_floating_point() or given.is_complex():
        return f"{key}: {given.dtype} instead of {own.dtype}"
    # Infinity is allowed: attention masks are stored with it.
    return f"{key}: not a number in it" if given.isnan().any() else ""


Split = Callable[[TeacherSpec, State], Mapping[str, State]]


def load_parts(spec: TeacherSpec, file: Path) -> Mapping[str, State]:
    """Reads a weights file and splits it into the encoder's and the decoders' states."""
    split: Split = resolve_reference(spec.weights.split)
    is_bundle = file.name == STUDENT_STATE and file.with_name(STUDENT_CARD).is_file()
    state = read_bundle_state(file) if is_bundle else read_state(file)
    try:
        return split(spec, state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{file} is not a weights file of {spec.name}: {error}",
            "pass the file of this very architecture with --weights",
        ) from error
