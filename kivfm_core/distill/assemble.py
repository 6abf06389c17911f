"""Builds what a run works with: the teachers with their weights, and the untrained student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from kivfm_core.compose import assign_weights
from kivfm_core.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.student import Student
from kivfm_core.teacher import LoadedTeacher, load_teacher
from kivfm_core.weights import Provenance


@dataclass(frozen=True)
class Parts:
    """What a run works with.

    Attributes:
        student: Untrained, with the decoders of every teacher.
        teachers: Those whose levels the student's own pass does not give.
        provenance: Of every teacher's weights.
    """

    student: Student
    teachers: dict[str, LoadedTeacher]
    provenance: dict[str, Provenance | None]


def assemble(
    config: RunConfig, composition: Composition, device: torch.device, say: Callable[[str], None]
) -> Parts:
    """Loads every teacher, says what was loaded, and builds the student on its base.

    Raises:
        UsageError: If a file is given for a teacher that is not selected.
        WeightsError: If a teacher's weights cannot be had, or do not fit.
    """
    files = assign_weights(config.weights, composition.teachers)
    teachers: dict[str, LoadedTeacher] = {}
    for spec in composition.teachers:
        teacher = load_teacher(spec, files.get(spec.name))
        say(f"{spec.name}: {teacher.provenance}")
        # Channels-last convolutions are up to twice as fast, on CPUs and GPUs alike.
        teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        teachers[spec.name] = teacher.to(device)
    student = Student(composition)
    if composition.base is not None:
        student.trunk.load_state_dict(teachers[composition.base].encoder.state_dict(), strict=True)
    student.decoders = {name: teacher.decoders for name, teacher in teachers.items()}
    # The base's own levels come from the student's pass; only what that lacks needs a teacher.
    needed = {plan.teacher for plan in composition.aligners if plan.kind != "identity"}
    return Parts(
        student.to(device),
        {name: teacher for name, teacher in teachers.items() if name in needed},
        {name: teacher.provenance for name, teacher in teachers.items()},
    )
