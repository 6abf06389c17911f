"""Loads the teachers with their weights, and builds the untrained student."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.distillation.inputs.frozen_networks import LoadedNetworks
from kivfm_core.distillation.inputs.offload import Offloaded
from kivfm_core.distillation.start import STARTED, load_start
from kivfm_core.errors import WeightsError
from kivfm_core.planner.placement import NetworkPlacement
from kivfm_core.run_files import BUNDLE, COMPOSITION, STUDENT_STATE
from kivfm_core.runs.run import Run, open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher, load_teacher
from kivfm_core.weights.building import building
from kivfm_core.weights.loading import Provenance
from kivfm_core.weights.tokenizer import obtain_tokenizer


@dataclass(frozen=True)
class LoadedModels:
    """The student, and the frozen networks that run beside it.

    Attributes:
        student: Untrained, with the decoders of every teacher.
        teachers: Those whose levels the student's own pass does not give.
        provenance: Where every teacher's weights are from, and those that the student started from.
        placements: Where frozen networks lie, and how many views at once they run on.
        round_trip: For teachers of an earlier run, as measured there: the share of each level's
            variance that a round trip through the shared latent keeps.
        shared: What these share, as measured there.
    """

    student: Student
    teachers: dict[str, LoadedTeacher]
    provenance: dict[str, Provenance | None]
    placements: Mapping[str, NetworkPlacement] = field(default_factory=dict[str, NetworkPlacement])
    round_trip: Mapping[str, float] = field(default_factory=dict[str, float])
    shared: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def frozen(self) -> LoadedNetworks:
        """The networks that give outputs for the run's views, and do not change."""
        trunk = self.student.run_trunk if self.student.adapter is not None else None
        hashes = {name: made.sha256 for name, made in self.provenance.items() if made is not None}
        return LoadedNetworks(self.teachers, trunk, hashes, self.placements)


def assemble(
    config: RunConfig,
    composition: Composition,
    device: torch.device,
    log: Callable[[str], None],
    placements: Mapping[str, NetworkPlacement] | None = None,
    checkpoint: Path | None = None,
) -> LoadedModels:
    """Loads every teacher, reports what was loaded, and builds the student on its base.

    Args:
        config: The run's configuration.
        composition: The student's plan.
        device: Where the student lies.
        log: Reports each teacher's weights.
        placements: Where the teachers lie; those that are not named lie beside the student.
        checkpoint: The one that the run is resumed from. The plan is then its run's, and asks for
            no more memory than the weights and this checkpoint justify.

    Raises:
        UsageError: If a file is for no selected teacher, or a plan describes too large networks.
        WeightsError: If a teacher's weights cannot be had, or do not fit.
    """
    files = assign_weights(config.weights, composition.teachers)
    teachers, placements = dict[str, LoadedTeacher](), placements or {}
    away = [name for name, placement in placements.items() if placement.offloaded]
    for spec in composition.learned:
        home = torch.device("cpu") if spec.name in away else device
        teacher = load(spec, files.get(spec.name), home, _described(checkpoint))
        log(f"{spec.name}: {teacher.provenance}")
        teachers[spec.name] = teacher
        _fetch_tokenizers(spec, log)
    provenance = {name: teacher.provenance for name, teacher in teachers.items()}
    base = teachers.get(composition.base or "")
    with _as_large_as(checkpoint, config, base):
        student = make_student(composition, base)
    if composition.pretrained and checkpoint is None:  # which has the whole trunk
        provenance[STARTED] = load_start(student, config.student.weights, log)
    student.decoders = {name: teacher.decoders for name, teacher in teachers.items()}
    said: Mapping[str, Any] = {}
    if config.student.start is not None:
        earlier = open_run(config.student.start)
        said = _take_over(student, earlier, log)
        provenance |= earlier.provenance
    # Only now: the student's trunk is a copy of the base's own encoder, not of a wrapped one.
    for name in away:
        teachers[name].encoder = Offloaded(teachers[name].encoder)
    # The base's own encoder is left out where the student's trunk gives its levels.
    running = {name: teachers[name] for name in composition.teachers_to_run}
    return LoadedModels(student.to(device), running, provenance, placements, **said)


def _take_over(student: Student, earlier: Run, log: Callable[[str], None]) -> Mapping[str, Any]:
    """Gives a student what an earlier run's learned; returns what was measured there.

    The earlier teachers come along as stand-ins, with their decoders: their encoders are not
    loaded.
    """
    student.take_over(earlier.load_student())
    log(f"{', '.join(student.composition.frozen_teachers)}: as in {earlier.path}")
    said = earlier.environment
    return {name: said[name] for name in ("round_trip", "shared") if name in said}


def _described(checkpoint: Path | None) -> Path | None:
    """The file that describes a resumed run's networks; None for a new run, which plans its own."""
    return None if checkpoint is None else checkpoint.parents[1] / COMPOSITION


def _as_large_as(
    checkpoint: Path | None, config: RunConfig, base: LoadedTeacher | None
) -> AbstractContextManager[None]:
    """Bounds a resumed student by what it is put together from: see `assemble`."""
    described = _described(checkpoint)
    if checkpoint is None or described is None:
        return nullcontext()
    files = [checkpoint / STUDENT_STATE]
    if config.student.start is not None:  # the trunk is the earlier student's
        files.append(Path(config.student.start) / BUNDLE / STUDENT_STATE)
    trunk = base.encoder.state_dict().values() if base is not None else ()
    return building(described, *files, copied=sum(tensor.nbytes for tensor in trunk))


def _fetch_tokenizers(spec: TeacherSpec, log: Callable[[str], None]) -> None:
    """Fetches the tokenizers that the student will need; distillation itself needs none."""
    for task in spec.tasks:
        try:
            obtain_tokenizer(spec, task.task)
        except WeightsError as error:
            log(f"{error.message}; the student's {task.task} will need it")


def load(
    spec: TeacherSpec, file: str | None, device: torch.device, described: Path | None = None
) -> LoadedTeacher:
    """Loads a teacher in the memory layout that computes fastest."""
    teacher = load_teacher(spec, file, described=described)
    # Channels-last convolutions are up to twice as fast, on CPUs and GPUs alike.
    teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return teacher.to(device)


def make_student(composition: Composition, base: LoadedTeacher | None) -> Student:
    """An untrained student; its trunk has the weights of the base's encoder, if there is a base."""
    student = Student(composition)
    if base is not None:
        student.trunk.load_state_dict(base.encoder.state_dict(), strict=True)
    return student
