"""What does not change while a student learns: canvases, teachers and base, once a stored view."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from kivfm_core.cache import MemoryCache, as_stored
from kivfm_core.data.canvas import normalize
from kivfm_core.data.loader import Batch
from kivfm_core.student import Student
from kivfm_core.teacher import LoadedTeacher

TRUNK = "trunk"
CANVAS = "canvas"


class Frozen:
    """Answers for batches, from the cache where a view is stored.

    What comes through a cache is rounded to bfloat16, at first use too, so that a view says the
    same in every epoch.

    Args:
        teachers: The teachers whose levels are wanted.
        student: Its frozen base is asked too; one without is not.
        cache: Where stored views are kept; None if every view is a fresh one.
        to_device: Moves a tensor.
    """

    def __init__(
        self,
        teachers: Mapping[str, LoadedTeacher],
        student: Student,
        cache: MemoryCache | None,
        to_device: Callable[[Tensor], Tensor],
    ) -> None:
        self.teachers, self.student, self.cache = teachers, student, cache
        self.to_device = to_device

    def __call__(self, batch: Batch) -> tuple[Tensor, dict[str, dict[str, Tensor]]]:
        """The student's canvases, and what was said of them.

        Args:
            batch: Without canvases if the cache has all its views.

        Returns:
            `[B, 3, H, W]` in [0, 1]; and each teacher's levels by teacher and level, the base's
            outputs under `trunk`.
        """
        if self.cache is not None and all(key in self.cache for key in batch.keys):
            stored = self.cache.get(batch.keys)
            answers = {name: self.to_device(tensor) for name, tensor in stored.items()}
        else:
            answers = self._ask(batch)
            if self.cache is not None:
                self.cache.put(batch.keys, answers)
                answers = {name: as_stored(tensor) for name, tensor in answers.items()}
        canvas = answers.pop(CANVAS) / 255
        nested: dict[str, dict[str, Tensor]] = {}
        for name, tensor in answers.items():
            owner, _, level = name.partition(":")
            nested.setdefault(owner, {})[level] = tensor
        return canvas, nested

    def _ask(self, batch: Batch) -> dict[str, Tensor]:
        # In 256 steps a color, which bfloat16 tells apart.
        answers = {CANVAS: (self.to_device(batch.student) * 255).round()}
        for (name, teacher), canvases, frames in zip(
            self.teachers.items(), batch.teachers, batch.frames, strict=True
        ):
            levels = teacher.encode(self.to_device(canvases), frames)
            answers |= {f"{name}:{level}": tensor for level, tensor in levels.items()}
        if self.student.adapter is not None:
            canvas = normalize(self.to_device(batch.student), self.student.spec.input)
            trunk = self.student.ask_trunk(canvas)
            answers |= {f"{TRUNK}:{name}": tensor for name, tensor in trunk.items()}
        return answers
