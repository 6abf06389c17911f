"""Checkpoints: a folder written aside and renamed; safetensors and JSON, never a pickle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from torch import Tensor

from kivfm_core.distillation.processes.sharding import whole
from kivfm_core.errors import KivfmError, UsageError, one_line, printable
from kivfm_core.files import new_folder, write_text
from kivfm_core.processes.launch import is_first
from kivfm_core.run_files import (
    CHECKPOINT,
    CHECKPOINT_CARD,
    LATEST,
    OPTIMIZER_STATE,
    RANDOM_STATE,
    STUDENT_STATE,
    checkpoint_name,
    checkpoint_steps,
    is_whole,
    read_checkpoint_card,
)
from kivfm_core.student.bundle import load_trained, save_tensors
from kivfm_core.student.student import Student
from kivfm_core.weights.loading import read_own_state


def save_checkpoint(
    folder: Path, step: int, student: Student, optimizer: torch.optim.Optimizer,
    precision: Precision, keep: int,
) -> None:  # fmt: skip
    """Writes a checkpoint, then removes the oldest; the untrained student's always stays.

    All processes have to call it; the first one writes.

    Args:
        folder: `RUN/checkpoints`.
        step: Steps made.
        student: Its trained part is saved, never a frozen base.
        optimizer: As `make_optimizer` makes it.
        precision: Fabric's; where gradients are scaled it has a scale.
        keep: How many of the last checkpoints stay.
    """
    # Sharded tensors are gathered by all processes together, so before the others leave.
    trained, remembered = whole(student.trained()), whole(_flatten(optimizer))
    if not is_first():
        return
    name = checkpoint_name(step)
    with new_folder(folder / name) as aside:
        save_tensors(trained, aside / STUDENT_STATE)
        save_tensors(remembered, aside / OPTIMIZER_STATE)
        save_tensors({"torch": torch.get_rng_state()}, aside / RANDOM_STATE)
        state = json.dumps({"schema": 1, "step": step, "precision": precision.state_dict()})
        (aside / CHECKPOINT_CARD).write_text(state, encoding="utf-8")
    write_text(folder / LATEST, name)
    # Only now: a kill before leaves one checkpoint too many, never none.
    for old in checkpoint_steps(folder)[1:-keep]:
        shutil.rmtree(folder / checkpoint_name(old))
    for torn in folder.glob(".step-*"):  # left by a kill
        shutil.rmtree(torn, ignore_errors=True)


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint to resume from; None if there is none.

    It is the one that `latest` names. Where that is lost, it is the newest whole one.
    """
    steps = [step for step in checkpoint_steps(folder) if is_whole(folder / checkpoint_name(step))]
    names = [checkpoint_name(step) for step in steps]
    named = named_latest(folder)
    return folder / (named if named in names else names[-1]) if names else None


def named_latest(folder: Path) -> str:
    """The name of the checkpoint in `latest`; empty if the file is lost, or names none."""
    file = folder / LATEST
    if file.is_symlink() or not file.is_file():
        return ""
    named = file.read_bytes()[:100].decode("utf-8", "replace").strip()
    return named if CHECKPOINT.fullmatch(named) else ""


def load_checkpoint(
    folder: Path, student: Student, optimizer: torch.optim.Optimizer, precision: Precision,
    *, anew: bool = False,
) -> int:  # fmt: skip
    """Restores the latest checkpoint and returns its step.

    Args:
        folder: `RUN/checkpoints`.
        student: Gets what was trained.
        optimizer: Gets what it remembered of the steps made.
        precision: Gets its scale, if it has one.
        anew: Whether another optimizer than the checkpoint's may start, with empty state.

    Raises:
        UsageError: If there is none, or it is another optimizer's.
    """
    if (path := latest_checkpoint(folder)) is None:
        raise UsageError(f"no checkpoint in {folder}", "start anew: kivfm distill --out ANOTHER")
    state = read_checkpoint_card(path)
    load_trained(student, path)
    remembered = read_own_state(path / OPTIMIZER_STATE)
    its = _written_by(remembered)
    if its in (None, _name_of(optimizer)):
        with _sound(path / OPTIMIZER_STATE):
            _restore(student, optimizer, remembered)
    elif not anew:
        run = folder.parent
        raise UsageError(
            f"the checkpoints in {run} are those of another optimizer, {its}",
            f"kivfm distill --resume {run} --set optim.optimizer={its} --allow-changes",
        )
    with _sound(path / RANDOM_STATE):
        torch.set_rng_state(read_own_state(path / RANDOM_STATE)["torch"])
    if scale := state.get("precision"):
        with _sound(path / CHECKPOINT_CARD):
            precision.load_state_dict(scale)
    return state["step"]


@contextmanager
def _sound(file: Path) -> Generator[None]:
    """Turns what is wrong with a checkpoint's file into one error."""
    try:
        yield
    except KivfmError:
        raise
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise UsageError(
            f"{printable(file)} is damaged: {one_line(error)}",
            "remove its folder, and write the name of an earlier one into checkpoints/latest",
        ) from error


def _name_of(optimizer: torch.optim.Optimizer) -> str:
    """As `optim.optimizer` names it, which is its class in lower case."""
    return type(optimizer).__name__.lower()


def _written_by(remembered: Mapping[str, Tensor]) -> str | None:
    """The optimizer whose state this is; None if it has none yet.

    Only Muon remembers a momentum of its own. Checkpoints do not name their optimizer.
    """
    if not remembered:
        return None
    momenta = any(name.rpartition(".")[2] == "momentum_buffer" for name in remembered)
    return "muon" if momenta else "adamw"


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's state by its parameters' names: their numbers may change between runs."""
    state: Mapping[int, Mapping[str, Any]] = optimizer.state_dict()["state"]
    names = _names(optimizer)
    return {
        f"{names[index]}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
    }


def _restore(
    student: Student, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    trained = {name: p for name, p in student.named_parameters() if p.requires_grad}
    # Earlier checkpoints number them: matrices come first.
    numbered = sorted(trained, key=lambda name: trained[name].ndim <= 1)
    places = {name: place for place, name in enumerate(_names(optimizer))}
    state: dict[int, dict[str, Tensor | bool]] = {}
    for key, value in tensors.items():
        whose, _, name = key.rpartition(".")
        parameter = numbered[int(whose)] if whose.isdigit() else whose
        if value.shape not in ((), trained[parameter].shape) or value.is_complex():
            raise ValueError(f"{key} is {tuple(value.shape)}, {value.dtype}")
        if value.isnan().any():
            raise ValueError(f"{key}: not a number in it")
        place = places[parameter]
        state.setdefault(place, {})[name] = bool(value) if value.dtype == torch.bool else value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _names(optimizer: torch.optim.Optimizer) -> list[str]:
    """The parameters' names, in the order in which the optimizer numbers them."""
    return [name for group in optimizer.param_groups for name in group["param_names"]]
