"""A student as a model: a bundle's, or a run's, which knows its teachers' weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.words import all_specs
from kivfm_core.errors import KivfmError
from kivfm_core.geometry import Size
from kivfm_core.models.model import Features, Model, Role
from kivfm_core.models.round_trip import RoundTrip
from kivfm_core.registry.heads import is_head
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.stored import has_weights
from kivfm_core.run_files import STUDENT_CARD, STUDENT_STATE
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec, Triple
from kivfm_core.student.bundle import read_bundle
from kivfm_core.student.one_pass import Canvas, EncoderPass, SharedPass, groups
from kivfm_core.student.shared_stand_in import SharedStandIn, shared_input
from kivfm_core.student.student import Student
from kivfm_core.teacher import Teacher, load_teacher
from kivfm_core.weights.fetch import file_sha256


class StudentModel(Model):
    """A student with the decoders of all its teachers, in a bundle that may lie anywhere.

    Args:
        name: What it was opened by.
        bundle: Its folder.
        composition: Its plan.
        device: Where its encoder computes.
    """

    def __init__(
        self, name: str, bundle: Path, composition: Composition, device: torch.device
    ) -> None:
        super().__init__(name, all_specs(composition), device)
        self.bundle, self.composition, self.base = bundle, composition, composition.base

    @property
    def origins(self) -> tuple[TeacherSpec, ...]:
        """All whose terms it has: its teachers, and what its trunk started from."""
        return self.composition.origins

    @cached_property
    def student(self) -> Student:
        """The student, on the CPU until it is used on a device."""
        return read_bundle(self.bundle)

    def load(self) -> Student:
        """The student."""
        return self.student

    def solver(self, teacher: str) -> Teacher:
        """The student in the role of a teacher."""
        return self.there(self.student.stand_in(teacher))

    def teacher(self, name: str) -> Teacher | None:
        """One of its teachers, where it computes; None if its weights are not on this machine."""
        spec = next(spec for spec in self.specs if spec.name == name)
        try:
            if has_weights(spec, get_registry()):
                return self.there(load_teacher(spec))
            self.absent[name] = "its weights are not on this machine"
        except KivfmError as error:
            self.absent[name] = error.message
        return None

    def why_absent(self, spec: TeacherSpec) -> str | None:
        """Why one of its teachers cannot be beside it; None if it can, as far as is known.

        Nothing is fetched: what is not on this machine is absent.
        """
        if is_head(spec):
            return "it is a head, with no teacher behind it"
        given = self.run is not None and spec.name in self.run.files
        if given or has_weights(spec, get_registry()):
            return None
        return "its weights are not on this machine"

    def rivals(self, teacher: str) -> Mapping[Role, Teacher]:
        """The teacher if its weights are here, and its stand-in; a head alone."""
        if self.is_head(teacher):
            return {"student": self.solver(teacher)}
        found, own = self.teacher(teacher), self.solver(teacher)
        return {"student": own} if found is None else {"teacher": found, "student": own}

    def is_head(self, name: str) -> bool:
        """Whether one of `specs` was trained on labels, so that no teacher is behind it."""
        return any(is_head(spec) for spec in self.specs if spec.name == name)

    def own_features(self) -> Mapping[Literal["base", "student"], Features]:
        """The student's, beside the base's if its weights are here; nothing if it has no base."""
        if self.base is None:
            return {}
        own, base = Features(self.encoder, ("x", "V")), self.teacher(self.base)
        if base is None:
            return {"student": own}
        v = self.composition.v_level
        return {"base": Features(base, (self.composition.x_level or v, v)), "student": own}

    @property
    def identity(self) -> str:
        """Of the bundle's files."""
        return _digest([self.bundle / STUDENT_CARD, self.bundle / STUDENT_STATE])

    def passes(self, teachers: Sequence[str], canvas: Canvas = None) -> Sequence[EncoderPass]:
        """One pass for all on a shared canvas, or one for each canvas of the teachers' own."""
        every = groups(self.student, teachers, canvas)
        return [SharedPass(group, self.device) for group in every]

    def shared(self, teacher: str, canvas: int | None = None) -> Teacher:
        """The student in the role of a teacher, on the shared canvas."""
        contract = shared_input(self.composition, canvas)
        return self.there(SharedStandIn(self.student, teacher, contract))

    @property
    def sha256(self) -> str:
        """Hash of the bundle's weights file."""
        return file_sha256(self.bundle / STUDENT_STATE)

    @property
    def global_level(self) -> str:
        """The student's global feature."""
        return "x"

    @property
    def dense_level(self) -> str:
        """The student's dense map."""
        return "V"

    @property
    def canvas(self) -> Size:
        """The largest that it was trained on."""
        side = max(self.composition.image_size)
        return side, side

    @property
    def pad_value(self) -> Triple:
        """That of its trunk, whatever the teacher's."""
        return self.composition.trunk.input.pad_value

    @property
    def network(self) -> Student:
        """The student."""
        return self.student


class RunModel(StudentModel):
    """A run's student; the run knows its teachers' weights, and the student before its first step.

    Args:
        name: What it was opened by.
        run: The run.
        device: Where its encoder computes.
    """

    def __init__(self, name: str, run: Run, device: torch.device) -> None:
        super().__init__(name, run.bundle, run.composition, device)
        self.run = self._run = run

    @cached_property
    def student(self) -> Student:
        """The run's student."""
        return self._run.load_student()

    @cached_property
    def untrained(self) -> Student:
        """The student before its first step."""
        return self._run.load_student(untrained=True)

    def teacher(self, name: str) -> Teacher:
        """One of the run's teachers, with the weights that the run used.

        Raises:
            WeightsError: If these weights cannot be had any more.
        """
        return self.there(self._run.load_teacher(name))

    def rivals(self, teacher: str) -> Mapping[Role, Teacher]:
        """The teacher, its stand-in before and after distillation, and what the latent allows.

        A head is alone.
        """
        if self.is_head(teacher):
            return super().rivals(teacher)
        rivals: dict[Role, Teacher] = {
            "teacher": self.teacher(teacher),
            "untrained": self.there(self.untrained.stand_in(teacher)),
            "student": self.solver(teacher),
        }
        if any(plan.narrows for plan in self.composition.of(teacher)):
            rivals["bound"] = RoundTrip(rivals["teacher"], self.student)
        return rivals

    @property
    def identity(self) -> str:
        """Of the run's plan and its student's weights."""
        return _digest([self._run.composition_file, self.bundle / STUDENT_STATE])


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
