"""A disk that is full: nothing already written is lost, and nothing half-written stays."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins import Precision

from kivfm_core.composition.composition import Composition
from kivfm_core.distillation.state import checkpoint
from kivfm_core.distillation.state.checkpoint import load_checkpoint, save_checkpoint
from kivfm_core.distillation.state.disk_full import report_full_disk
from kivfm_core.errors import KivfmError
from kivfm_core.student.student import Student


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def toy_student(composition: Composition) -> tuple[Student, torch.optim.Optimizer]:
    student = Student(composition)
    return student, torch.optim.AdamW(x for x in student.named_parameters() if x[1].requires_grad)


def survives(folder: Path, composition: Composition) -> None:
    """Fails to write a second checkpoint, and finds the first one whole."""
    student, optimizer = toy_student(composition)
    refused = pytest.raises(KivfmError, match="the disk is full")
    with refused as caught, report_full_disk("kivfm again"):
        save_checkpoint(folder, 2, student, optimizer, Precision(), keep=2)
    assert caught.value.hint == "make room, then: kivfm again"
    assert {path.name for path in folder.iterdir()} == {"step-000001", "latest"}
    assert load_checkpoint(folder, student, optimizer, Precision()) == 1


def test_a_full_disk(small_disk: Path, composition: Composition):
    student, optimizer = toy_student(composition)
    folder = small_disk / "checkpoints"
    save_checkpoint(folder, 1, student, optimizer, Precision(), keep=2)
    free = os.statvfs(small_disk)
    (small_disk / "other").write_bytes(bytes(free.f_bavail * free.f_bsize - 50_000))
    survives(folder, composition)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_at_the_last_file(
    tmp_path: Path, composition: Composition, monkeypatch, number: int
):
    student, optimizer = toy_student(composition)
    folder = tmp_path / "checkpoints"
    save_checkpoint(folder, 1, student, optimizer, Precision(), keep=2)
    save = checkpoint.save_tensors

    def full(tensors, path: Path) -> None:
        if path.name == "rng.safetensors":
            raise OSError(number, os.strerror(number))
        save(tensors, path)

    monkeypatch.setattr(checkpoint, "save_tensors", full)
    survives(folder, composition)
