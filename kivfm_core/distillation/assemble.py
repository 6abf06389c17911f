"""Builds what a run works with: the teachers with their weights, and the untrained student."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.distillation.inputs.frozen_networks import LoadedNetworks
from kivfm_core.distillation.inputs.offload import Offloaded
from kivfm_core.errors import WeightsError
from kivfm_core.planner.placement import NetworkPlacement
from kivfm_core.runs.run import open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher, load_teacher
from kivfm_core.weights.loading import Provenance
from kivfm_core.weights.tokenizer import obtain_tokenizer


@dataclass(frozen=True)
class Parts:
    """What a run works with.

    Attributes:
        student: Untrained, with the decoders of every teacher.
        teachers: Those whose levels the student's own pass does not give.
        provenance: Of every teacher's weights.
        placements: How what is frozen is asked.
        round_trip: What the shared latent keeps of the levels of teachers that are kept, as fitted.
    """

    student: Student
    teachers: dict[str, LoadedTeacher]
    provenance: dict[str, Provenance | None]
    placements: Mapping[str, NetworkPlacement] = field(default_factory=dict[str, NetworkPlacement])
    round_trip: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def asked(self) -> LoadedNetworks:
        """What of them is frozen, and answers for the run's views."""
        trunk = self.student.run_trunk if self.student.adapter is not None else None
        hashes = {name: made.sha256 for name, made in self.provenance.items() if made is not None}
        return LoadedNetworks(self.teachers, trunk, hashes, self.placements)


def assemble(
    config: RunConfig,
    composition: Composition,
    device: torch.device,
    say: Callable[[str], None],
    placements: Mapping[str, NetworkPlacement] | None = None,
) -> Parts:
    """Loads every teacher, says what was loaded, and builds the student on its base.

    Args:
        config: The run's.
        composition: The student's plan.
        device: Of the student.
        say: Told what was loaded.
        placements: Where the teachers lie; those that are not named, where the student does.

    Raises:
        UsageError: If a file is given for a teacher that is not selected.
        WeightsError: If a teacher's weights cannot be had, or do not fit.
    """
    files = assign_weights(config.weights, composition.teachers)
    teachers: dict[str, LoadedTeacher] = {}
    placements = placements or {}
    away = [name for name, placement in placements.items() if placement.offloaded]
    for spec in composition.learned:
        home = torch.device("cpu") if spec.name in away else device
        teacher = load(spec, files.get(spec.name), home)
        say(f"{spec.name}: {teacher.provenance}")
        teachers[spec.name] = teacher
        _bring_tokenizers(spec, say)
    provenance = {name: teacher.provenance for name, teacher in teachers.items()}
    student = make_student(composition, teachers.get(composition.base or ""))
    student.decoders = {name: teacher.decoders for name, teacher in teachers.items()}
    trips: dict[str, float] = {}
    if config.student.start is not None:
        earlier = open_run(config.student.start)
        student.take_over(earlier.load_student())
        provenance |= earlier.provenance
        trips = earlier.environment.get("round_trip", {})
        say(f"{', '.join(composition.frozen_teachers)}: kept as {earlier.path} left them")
    for name in away:
        teachers[name].encoder = Offloaded(teachers[name].encoder)
    asked = {name: teachers[name] for name in composition.teachers_to_run}
    return Parts(student.to(device), asked, provenance, placements, trips)


def _bring_tokenizers(spec: TeacherSpec, say: Callable[[str], None]) -> None:
    """Fetches what the bundle is to carry; distillation itself does without."""
    for task in spec.tasks:
        try:
            obtain_tokenizer(spec, task.task)
        except WeightsError as error:
            say(f"{error.message}; the student's {task.task} will need it")


def load(spec: TeacherSpec, file: str | None, device: torch.device) -> LoadedTeacher:
    """Loads a teacher, laid out for speed."""
    teacher = load_teacher(spec, file)
    # Channels-last convolutions are up to twice as fast, on CPUs and GPUs alike.
    teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return teacher.to(device)


def make_student(composition: Composition, base: LoadedTeacher | None) -> Student:
    """An untrained student, its trunk as the base's encoder is."""
    student = Student(composition)
    if base is not None:
        student.trunk.load_state_dict(base.encoder.state_dict(), strict=True)
    return student
