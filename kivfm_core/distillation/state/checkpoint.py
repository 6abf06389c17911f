"""Checkpoints: a folder written aside and renamed; safetensors and JSON, never a pickle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from safetensors.torch import load_file
from torch import Tensor

from kivfm_core.distillation.processes.launch import is_first
from kivfm_core.distillation.processes.sharding import whole
from kivfm_core.distillation.training.muon import Muon
from kivfm_core.errors import UsageError
from kivfm_core.files import new_folder, write_text
from kivfm_core.student.bundle import load_trained, save_tensors
from kivfm_core.student.student import Student


def save_checkpoint(
    folder: Path, step: int, student: Student, optimizer: torch.optim.Optimizer,
    precision: Precision, keep: int,
) -> None:  # fmt: skip
    """Writes a checkpoint, then forgets the oldest; the untrained student is always kept.

    All processes have to call it; the first one writes.

    Args:
        folder: `RUN/checkpoints`.
        step: Steps made.
        student: Its trained part is saved, never a frozen base.
        optimizer: As `make_optimizer` makes it.
        precision: Fabric's; where gradients are scaled it has a scale.
        keep: How many of the last to keep.
    """
    trained, remembered = whole(student.trained()), whole(_flatten(optimizer))
    if not is_first():
        return
    name = f"step-{step:06d}"
    with new_folder(folder / name) as aside:
        save_tensors(trained, aside / "student.safetensors")
        save_tensors(remembered, aside / "optimizer.safetensors")
        save_tensors({"torch": torch.get_rng_state()}, aside / "rng.safetensors")
        state = json.dumps({"schema": 1, "step": step, "precision": precision.state_dict()})
        (aside / "state.json").write_text(state, encoding="utf-8")
    write_text(folder / "latest", name)
    steps = sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*"))
    for old in steps[1:-keep]:
        shutil.rmtree(folder / f"step-{old:06d}")
    for torn in folder.glob(".step-*"):  # by a kill
        shutil.rmtree(torn)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is one to go on with."""
    return (folder / "latest").is_file()


def load_checkpoint(
    folder: Path, student: Student, optimizer: torch.optim.Optimizer, precision: Precision,
    *, anew: bool = False,
) -> int:  # fmt: skip
    """Restores the latest checkpoint and returns its step.

    Args:
        folder: `RUN/checkpoints`.
        student: Gets what was trained.
        optimizer: Gets what it remembered.
        precision: Gets its scale, if it has one.
        anew: Whether another optimizer than the checkpoint's may begin, remembering nothing.

    Raises:
        UsageError: If there is none, or it is another optimizer's.
    """
    if not has_checkpoint(folder):
        raise UsageError(f"no checkpoint in {folder}", "start anew: kivfm distill --out ANOTHER")
    path = folder / (folder / "latest").read_text(encoding="utf-8").strip()
    load_trained(student, path)
    remembered = load_file(path / "optimizer.safetensors")
    kinds = {name.rpartition(".")[2] == "momentum_buffer" for name in remembered}
    other = bool(kinds) and (True in kinds) != isinstance(optimizer, Muon)
    if other and not anew:
        run, its = folder.parent, "muon" if True in kinds else "adamw"
        raise UsageError(
            f"the checkpoints in {run} are those of another optimizer, {its}",
            f"kivfm distill --resume {run} --set optim.optimizer={its} --allow-changes",
        )
    if not other:
        _restore(student, optimizer, remembered)
    torch.set_rng_state(load_file(path / "rng.safetensors")["torch"])
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if scale := state.get("precision"):
        precision.load_state_dict(scale)
    return int(state["step"])


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer remembers, by its parameters' names: groups may change between runs."""
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
        place = places[numbered[int(whose)] if whose.isdigit() else whose]
        state.setdefault(place, {})[name] = bool(value) if value.dtype == torch.bool else value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _names(optimizer: torch.optim.Optimizer) -> list[str]:
    """Of its parameters, in the order in which it numbers them."""
    return [name for group in optimizer.param_groups for name in group["param_names"]]
