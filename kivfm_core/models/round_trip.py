"""A teacher whose levels pass through the shared latent and back, before its decoders read them."""

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
    """A `Teacher` with the levels of a stand-in that matches it exactly in the shared latent.

    Its score is an upper bound for the student: what the latent loses, no student can give back.

    Args:
        teacher: The teacher.
        student: A student with fitted aligners.
    """

    def __init__(self, teacher: Teacher, student: Student) -> None:
        self.spec, self.teacher = teacher.spec, teacher
        self.aligners = {
            level.name: student.aligner(self.spec.name, level.name) for level in self.spec.levels
        }

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The teacher's levels, through the latent."""
        levels, back = self.teacher.encode(images, frames), dict[str, Tensor]()
        with torch.no_grad():
            for name, aligner in self.aligners.items():
                level = levels[name]
                # The student may be on another device than the teacher's levels.
                moved = level.to(next(aligner.buffers()).device)
                back[name] = aligner.to_level(aligner.to_latent(moved)).to(level.device)
        return Levels(back, frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """The teacher's."""
        return self.teacher.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """The teacher's."""
        return self.teacher.decode(task, levels, prompt)
