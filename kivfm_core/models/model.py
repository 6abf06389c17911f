"""What a student and a teacher have in common for those who use them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, overload

import torch
from torch import nn

from kivfm_core.geometry import Size
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec, Triple
from kivfm_core.student.on_device import on_device
from kivfm_core.student.one_pass import Canvas, EncoderPass
from kivfm_core.teacher import Encoder, Teacher

# What is measured side by side at a teacher's tasks: the teacher, its stand-in before and after
# distillation, and the teacher by way of the shared latent.
Role = Literal["teacher", "untrained", "student", "bound"]


class Features(NamedTuple):
    """An encoder whose own features are measured.

    Attributes:
        encoder: The encoder.
        levels: Its vector for an image, then its dense map if it has one.
    """

    encoder: Encoder
    levels: tuple[str, ...]


class Model(ABC):
    """A student or a teacher, opened by name; its weights are loaded when they are first used.

    Args:
        name: What it was opened by.
        specs: The teachers whose tasks it solves: a student's, or the teacher itself.
        device: Where its encoder computes; decoders stay on the CPU.

    Attributes:
        base: The name of the teacher that is a student's base; None if there is none.
        run: The run that it is the student of; None if it is none's.
        absent: Why teachers are not beside it, by name, as far as was found out.
    """

    base: str | None = None
    run: Run | None = None

    def __init__(self, name: str, specs: Sequence[TeacherSpec], device: torch.device) -> None:
        self.name, self.specs, self.device = name, tuple(specs), device
        self.absent: dict[str, str] = {}

    @property
    def origins(self) -> tuple[TeacherSpec, ...]:
        """All whose terms it has: its teachers, or itself."""
        return self.specs

    @cached_property
    def encoder(self) -> Encoder:
        """What gives its own features as levels: the student, or the teacher."""
        return self.there(self.load())

    @overload
    def there(self, model: Teacher) -> Teacher: ...
    @overload
    def there(self, model: Encoder) -> Encoder: ...
    def there(self, model: Encoder) -> Encoder:
        """Another network, where this one computes."""
        return on_device(model, self.device)

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

    @abstractmethod
    def rivals(self, teacher: str) -> Mapping[Role, Teacher]:
        """All that can be measured side by side at a teacher's tasks, where it computes.

        The teacher is the first if it is there.

        Args:
            teacher: The full name of one of `specs`.
        """

    @abstractmethod
    def own_features(self) -> Mapping[Literal["base", "student"], Features]:
        """Whose features are measured: a base and its student, or a teacher as the base."""

    def shared(self, teacher: str, canvas: int | None = None) -> Teacher | None:
        """What solves a teacher's tasks on the canvas that all share; None if that is no other.

        Args:
            teacher: The full name of one of `specs`.
            canvas: Its short side in pixels; by default as fine as the finest of their own.
        """
        return None

    @property
    def identity(self) -> str:
        """A hash of a student's plan and trained weights; empty for a teacher."""
        return ""

    @property
    @abstractmethod
    def global_level(self) -> str:
        """Name of the level that is its vector for an image, or that is averaged for one."""

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Hash of its weights file, in hexadecimal."""

    @property
    @abstractmethod
    def dense_level(self) -> str | None:
        """Name of the level that is its main dense map; None if it has none."""

    @property
    @abstractmethod
    def canvas(self) -> Size:
        """Height and width of the canvases that its own features are best read from, in pixels."""

    @property
    @abstractmethod
    def pad_value(self) -> Triple:
        """The color of padding, RGB in [0, 1], on the canvases that its encoder gets."""

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The encoder as a plain torch module, from normalized canvases to its levels by name."""
