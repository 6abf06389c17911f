"""One pass of an encoder, from which the tasks of several teachers are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.spec import InputContract
from kivfm_core.student.on_device import on_device
from kivfm_core.student.shared_stand_in import SharedStandIn, shared_input
from kivfm_core.student.stand_in import StandIn
from kivfm_core.student.student import Student
from kivfm_core.teacher import Levels, Teacher

# The short side of the canvas that all stand-ins share, in pixels. None: as fine as the finest of
# their own. `own`: each has its teacher's, and those of equal canvas share a pass.
Canvas = int | Literal["own"] | None


class EncoderPass(Protocol):
    """One pass of an encoder, and those who decode what it gives."""

    input: InputContract
    solvers: tuple[Teacher, ...]

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> list[Levels]:
        """The levels for each of `solvers`, from canvases `[B, 3, H, W]` of `input`."""
        ...


class SoloPass:
    """A pass of a model that shares it with no other."""

    def __init__(self, model: Teacher) -> None:
        self.input = model.spec.input
        self.solvers: tuple[Teacher, ...] = (model,)

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> list[Levels]:
        """Its levels."""
        return [self.solvers[0].encode(images, frames)]


class SharedPass:
    """A pass of the student for stand-ins that take the same canvases.

    Args:
        stand_ins: One of `groups`.
        device: Where the student computes; decoders stay on the CPU.
    """

    def __init__(self, stand_ins: Sequence[StandIn], device: torch.device) -> None:
        self.input, self.stand_ins = stand_ins[0].spec.input, stand_ins
        self.solvers: tuple[Teacher, ...] = tuple(stand_ins)
        self.encoder = on_device(_Together(stand_ins), device)

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> list[Levels]:
        """Every stand-in's levels: bit for bit what each would give alone."""
        every = self.encoder.encode(images, frames)
        return [
            Levels(
                {level.name: every[_key(one, level.name)] for level in one.spec.levels},
                one.frames(frames),
            )
            for one in self.stand_ins
        ]


class _Together:
    """An `Encoder` whose levels are those of several stand-ins, by teacher and level."""

    def __init__(self, stand_ins: Sequence[StandIn]) -> None:
        self.stand_ins = stand_ins
        self.student, self.spec = stand_ins[0].student, stand_ins[0].spec

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        levels: dict[str, Tensor] = {}
        with torch.no_grad():
            features = self.stand_ins[0].look(images, frames)
            for one in self.stand_ins:
                read = one.read(features, frames, (images.shape[-2], images.shape[-1]))
                levels |= {_key(one, name): level for name, level in read.items()}
        return Levels(levels, frames)


def _key(one: StandIn, level: str) -> str:
    return f"{one.spec.name}:{level}"


def groups(student: Student, teachers: Sequence[str], canvas: Canvas) -> list[list[StandIn]]:
    """The stand-ins for some teachers; those of a group share a pass.

    Args:
        student: The student.
        teachers: Full names.
        canvas: What they see an image on.
    """
    if canvas != "own":
        contract = shared_input(student.composition, canvas)
        return [[SharedStandIn(student, name, contract) for name in teachers]]
    found: dict[object, list[StandIn]] = {}
    for name in teachers:
        one = student.stand_in(name)
        found.setdefault(one.canvas_key, []).append(one)
    return list(found.values())
