"""A task, solved for batches of canvases: what a single image and whole folders have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.models.model import Model
from kivfm_core.prediction.wanted import Names, Wanted, select
from kivfm_core.predictions import Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import TeacherSpec
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Teacher


@dataclass(frozen=True)
class Solver:
    """A model that solves a task; its weights are loaded when they are first used.

    Attributes:
        source: The model, or a teacher that is loaded.
        spec: The teacher that it is, or stands in for.
        record: The task.
        given: What the task has to be told, by flag.
        names: The classes' names, or None.
        wanted: What of the predictions is kept.
    """

    source: Model | Teacher
    spec: TeacherSpec
    record: TaskRecord
    given: Mapping[str, Any]
    names: Names
    wanted: Wanted

    @cached_property
    def model(self) -> Teacher:
        """The teacher, or its stand-in."""
        source = self.source
        return source if isinstance(source, Teacher) else source.solver(self.spec.name)

    def solve(self, images: Tensor, frames: Sequence[Frame]) -> Predictions:
        """Predictions for canvases `[B, 3, H, W]`, without what is not wanted."""
        levels = self.model.encode(images, frames)
        found = self.model.decode(self.record.name, levels, self._prompt(frames))
        return select(found, self.wanted, self.names)

    def _prompt(self, frames: Sequence[Frame]) -> Any:
        if self.record.prompt is None:
            return None
        # Names say the same for every canvas, and take a text tower.
        return self._names_prompt if self.record.prompt.flags == ("labels",) else self._told(frames)

    @cached_property
    def _names_prompt(self) -> Any:
        return self._told(())

    def _told(self, frames: Sequence[Frame]) -> Any:
        assert self.record.prompt is not None
        raw = resolve_reference(self.record.prompt.build)(self.given, frames)
        return self.model.prompt(self.record.name, **raw)
