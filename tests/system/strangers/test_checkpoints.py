"""Checkpoints that a stranger planted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from stranger import hostile, latest, shown

from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.state.checkpoint import latest_checkpoint
from kivfm_core.errors import KivfmError, UsageError

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


CHECKPOINT_FILES = ("student.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json")


@pytest.mark.parametrize("file", CHECKPOINT_FILES)
@pytest.mark.parametrize("plant", ["link", "pipe", "empty", "zeros", "nothing"])
@pytest.mark.timeout(60)
def test_planted_checkpoints(run: Path, file: str, plant: str, tmp_path: Path):
    path = latest(run) / file
    away = Path(shutil.move(path, tmp_path / "elsewhere"))
    if plant == "link":
        path.symlink_to(away)
    elif plant == "pipe":
        os.mkfifo(path)
    elif plant != "nothing":
        path.write_bytes(bytes(100 if plant == "zeros" else 0))
    if plant in ("pipe", "nothing"):  # not whole any more: an earlier one is taken
        assert latest_checkpoint(run / "checkpoints") not in (None, path.parent)
        return
    with pytest.raises(KivfmError):
        distill(resume=run)


@pytest.mark.parametrize("file", CHECKPOINT_FILES[:3])
@pytest.mark.parametrize("name", ["int64", "complex", "nan", "shape", "terabytes"])
def test_hostile_checkpoints(run: Path, file: str, name: str):
    path = latest(run) / file
    state = load_file(path)
    if file == "optimizer.safetensors":
        state = {key: value for key, value in state.items() if value.ndim and value.numel() > 1}
        if name == "int64":
            pytest.skip("steps are whole numbers")
    hostile(name, state, path)
    with pytest.raises(KivfmError):
        distill(resume=run)


@pytest.mark.parametrize(
    "named", [b"", b"../../../etc", b"/etc", b"step-000009", b"step-", b"\xff", b"step-\x1b[31m"]
)
def test_latest_names_a_checkpoint_of_this_run(run: Path, named: bytes):
    newest = latest(run)
    (run / "checkpoints" / "latest").write_bytes(named)
    assert latest_checkpoint(run / "checkpoints") == newest


@pytest.mark.parametrize("step", [None, -1, "2", 1.5, [], 10**400])
def test_steps_of_a_checkpoint(run: Path, step: Any):
    card = {"schema": 1, "step": step, "precision": {}}
    (latest(run) / "state.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="damaged"):
        distill(resume=run)


def test_folders_that_are_named_as_checkpoints(run: Path, capsys):
    for name in ("step-x", "step-", "step-1e9", "step-\u00b2\u00b2\u00b2\u00b2\u00b2\u00b2"):
        (run / "checkpoints" / name).mkdir()
    code, text = shown(capsys, "runs", "show", str(run))
    assert code == 0 and "2 of 2" in text
