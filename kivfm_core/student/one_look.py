"""One look of a student for several stand-ins that see the same canvases."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from kivfm_core.aligners.aligner import Aligner
from kivfm_core.student.stand_in import SharedEncoder, StandIn
from kivfm_core.teacher import Encoder


class OneLook:
    """A student that looks once at the same canvases, however many stand-ins give it these.

    It remembers the features of its last canvases alone, so it takes the memory of one batch. What
    it gives is what the student gives, bit for bit: canvases are compared, pixel by pixel.

    Args:
        student: The student.
    """

    def __init__(self, student: SharedEncoder) -> None:
        self.student, self.composition, self.decoders = (
            student,
            student.composition,
            student.decoders,
        )
        self.last: tuple[Tensor, dict[str, Tensor]] | None = None

    def aligner(self, teacher: str, level: str) -> Aligner:
        """The aligner of one teacher's level."""
        return self.student.aligner(teacher, level)

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """The student's features of normalized canvases `[B, 3, H, W]`."""
        if self.last is None or self.last[0].device != x.device or not torch.equal(self.last[0], x):
            self.last = None  # its memory is free before the student runs
            self.last = x, self.student(x)
        return self.last[1]


def look_once(models: Iterable[Encoder]) -> None:
    """Lets the stand-ins of each student share its looks, if they are used batch by batch.

    Args:
        models: Any, on their devices; what is no stand-in is left as it is.
    """
    looks: dict[int, OneLook] = {}
    for model in models:
        one = getattr(model, "model", model)  # a stand-in may be on a device
        if isinstance(one, StandIn) and not isinstance(one.student, OneLook):
            one.student = looks.setdefault(id(one.student), OneLook(one.student))
