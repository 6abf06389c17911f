"""What the shared latent leaves of a teacher: its own levels, there and back, for its decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.student.student import Student
from kivfm_core.teacher import Levels, Teacher


class RoundTrip:
    """A `Teacher` that says what a stand-in would that meets it exactly in the shared latent.

    Args:
        teacher: Whose levels go there.
        student: With fitted aligners.
    """

    def __init__(self, teacher: Teacher, student: Student) -> None:
        self.spec, self.teacher = teacher.spec, teacher
        self.aligners = {
            level.name: student.aligner(self.spec.name, level.name) for level in self.spec.levels
        }

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The teacher's levels, from the latent."""
        levels, back = self.teacher.encode(images, frames), dict[str, Tensor]()
        with torch.no_grad():
            for name, aligner in self.aligners.items():
                level = levels[name]
                there = level.to(next(aligner.buffers()).device)
                back[name] = aligner.to_level(aligner.to_latent(there)).to(level.device)
        return Levels(back, frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """The teacher's."""
        return self.teacher.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """The teacher's."""
        return self.teacher.decode(task, levels, prompt)
