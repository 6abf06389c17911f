"""A stand-in: the student dressed as one of its teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kivfm_core.data.canvas import normalize, repad, rescale
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.teacher import Decoders, Levels

if TYPE_CHECKING:
    from kivfm_core.student.student import Student


class StandIn:
    """A `Teacher` whose encoder is the student's and whose decoders are the teacher's."""

    def __init__(self, student: Student, teacher: str) -> None:
        self.student = student
        self.spec = next(s for s in student.composition.teachers if s.name == teacher)

    @property
    def decoders(self) -> Decoders:
        """The teacher's decoders, from the bundle."""
        return self.student.decoders[self.spec.name]

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The teacher's levels, as the student gives them, on the grids the teacher would give."""
        with torch.no_grad():
            contract, canvas = self.student.spec.input, (images.shape[-2], images.shape[-1])
            size = self.student.composition.student_size(self.spec.name, canvas)
            pixels = rescale(repad(images, frames, contract.pad_value), size)
            features = self.student(normalize(pixels, contract))
            return Levels(self.levels(features, canvas), frames)

    def levels(self, features: Mapping[str, Tensor], canvas: tuple[int, int]) -> dict[str, Tensor]:
        """From the student's features to the teacher's levels on a canvas of `(h, w)` pixels."""
        out: dict[str, Tensor] = {}
        for level in self.spec.levels:
            aligner = self.student.aligner(self.spec.name, level.name)
            grid = level.grid(canvas) if level.kind == "dense" else None
            out[level.name] = aligner.to_level(aligner.predict(features, grid))
        return out

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt once."""
        return self.decoders.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels."""
        return self.decoders.decode(task, levels, prompt)
