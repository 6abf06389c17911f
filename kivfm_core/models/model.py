"""What a student and a teacher have in common for those who use them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch

from kivfm_core.spec import TeacherSpec
from kivfm_core.student.on_device import on_device
from kivfm_core.student.one_pass import Canvas, EncoderPass
from kivfm_core.teacher import Encoder, Teacher


class Model(ABC):
    """A student or a teacher, opened by name; its weights are loaded when they are first used.

    Args:
        name: What it was opened by.
        specs: The teachers whose tasks it solves: a student's, or the teacher itself.
        device: Where its encoder computes; decoders stay on the CPU.
    """

    def __init__(self, name: str, specs: Sequence[TeacherSpec], device: torch.device) -> None:
        self.name, self.specs, self.device = name, tuple(specs), device

    @cached_property
    def encoder(self) -> Encoder:
        """What gives its own features as levels: the student, or the teacher."""
        return on_device(self.load(), self.device)

    @abstractmethod
    def load(self) -> Encoder:
        """The encoder with its weights, on the CPU: the same object each time."""

    @abstractmethod
    def solver(self, teacher: str) -> Teacher:
        """What solves a teacher's tasks: its stand-in, or the teacher itself.

        Args:
            teacher: The full name of one of `specs`.
        """

    @abstractmethod
    def passes(self, teachers: Sequence[str], canvas: Canvas = None) -> Sequence[EncoderPass]:
        """The passes of its encoder after which all tasks of these teachers can be decoded.

        Args:
            teachers: Full names, of `specs`.
            canvas: What a student sees the image on: see `Canvas`.
        """

    @property
    @abstractmethod
    def global_level(self) -> str:
        """Name of the level that is its vector for an image, or that is averaged for one."""

    @property
    @abstractmethod
    def dense_level(self) -> str | None:
        """Name of the level that is its main dense map; None if it has none."""
