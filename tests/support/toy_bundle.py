"""A bundle of an untrained toy student."""

from __future__ import annotations

from pathlib import Path

import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders


def write_toy_bundle(composition: Composition, folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    student = Student(composition).eval()
    # An untrained student's stand-ins give zeros.
    for parameter in student.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    student.decoders = {spec.name: Decoders(spec) for spec in composition.teachers}
    write_bundle(student, folder)
    return folder
