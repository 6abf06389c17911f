"""The frozen networks of a run: the teachers and the student's base, asked once per stored view."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from kivfm_core.cache import MemoryCache
from kivfm_core.data.canvas import normalize
from kivfm_core.data.loader import Batch
from kivfm_core.student import Student
from kivfm_core.teacher import LoadedTeacher

TRUNK = "trunk"


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

    def __call__(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """Each teacher's levels by teacher and level, and the base's outputs under `trunk`.

        Args:
            batch: Its teachers' canvases may be missing for views that are in the cache.
        """
        answers = self._ask(batch) if batch.fresh else {}
        if self.cache is not None:
            fresh = [batch.keys[i] for i in batch.fresh]
            self.cache.put(fresh, answers)
            rows = {key: i for i, key in enumerate(fresh)}
            known = [key for key in batch.keys if key not in rows]
            rows |= {key: len(fresh) + i for i, key in enumerate(known)}
            order = [rows[key] for key in batch.keys]
            parts = [{k: v.bfloat16().float() for k, v in answers.items()}] if fresh else []
            if known:
                stored = self.cache.get(known)
                parts.append({k: self.to_device(v) for k, v in stored.items()})
            answers = {k: torch.cat([part[k] for part in parts])[order] for k in parts[0]}
        nested: dict[str, dict[str, Tensor]] = {}
        for name, tensor in answers.items():
            owner, _, level = name.partition(":")
            nested.setdefault(owner, {})[level] = tensor
        return nested

    def _ask(self, batch: Batch) -> dict[str, Tensor]:
        answers: dict[str, Tensor] = {}
        for (name, teacher), canvases, frames in zip(
            self.teachers.items(), batch.teachers, batch.frames, strict=True
        ):
            levels = teacher.encode(self.to_device(canvases), frames)
            answers |= {f"{name}:{level}": tensor for level, tensor in levels.items()}
        if self.student.adapter is not None:
            canvas = normalize(self.to_device(batch.student[batch.fresh]), self.student.spec.input)
            trunk = self.student.ask_trunk(canvas)
            answers |= {f"{TRUNK}:{name}": tensor for name, tensor in trunk.items()}
        return answers
