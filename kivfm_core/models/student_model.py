"""A student as a model: a run's, or a bundle's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.models.model import Model
from kivfm_core.runs.run import Run
from kivfm_core.student.bundle import read_bundle
from kivfm_core.student.on_device import on_device
from kivfm_core.student.one_pass import Canvas, EncoderPass, SharedPass, groups
from kivfm_core.student.student import Student
from kivfm_core.teacher import Teacher


class StudentModel(Model):
    """A student with the decoders of all its teachers.

    Args:
        name: What it was opened by.
        bundle: Its folder.
        composition: Its plan.
        device: Where its encoder computes.
        run: The run that it belongs to; None for a bundle alone.
    """

    def __init__(
        self,
        name: str,
        bundle: Path,
        composition: Composition,
        device: torch.device,
        run: Run | None = None,
    ) -> None:
        super().__init__(name, composition.teachers, device)
        self.bundle, self.composition, self.run = bundle, composition, run

    @cached_property
    def student(self) -> Student:
        """The student, on the CPU until it is used on a device."""
        return read_bundle(self.bundle)

    def load(self) -> Student:
        """The student."""
        return self.student

    def solver(self, teacher: str) -> Teacher:
        """The student in the role of a teacher."""
        return on_device(self.student.stand_in(teacher), self.device)

    def passes(self, teachers: Sequence[str], canvas: Canvas = None) -> Sequence[EncoderPass]:
        """One pass for all on a shared canvas, or one for each canvas of the teachers' own."""
        every = groups(self.student, teachers, canvas)
        return [SharedPass(group, self.device) for group in every]

    @property
    def global_level(self) -> str:
        """The student's global feature."""
        return "x"

    @property
    def dense_level(self) -> str:
        """The student's dense map."""
        return "V"
