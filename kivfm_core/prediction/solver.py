"""A task, solved for batches of canvases: what a single image and whole folders have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.models.model import Model
from kivfm_core.prediction.prompts import Given, make_prompt
from kivfm_core.prediction.wanted import Names, Wanted, select
from kivfm_core.predictions import Predictions
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
        asked: What a user gives for the task.
        names: The classes' names, or None.
        wanted: What of the predictions is kept.
    """

    source: Model | Teacher
    spec: TeacherSpec
    record: TaskRecord
    asked: Given
    names: Names
    wanted: Wanted

    @cached_property
    def model(self) -> Teacher:
        """The teacher, or its stand-in."""
        source = self.source
        return source if isinstance(source, Teacher) else source.solver(self.spec.name)

    def solve(
        self, images: Tensor, frames: Sequence[Frame], given: Mapping[str, Any] | None = None
    ) -> Predictions:
        """Predictions for canvases, without what is not wanted.

        Args:
            images: Canvases `[B, 3, H, W]`.
            frames: Their frames.
            given: What the task is told for these images, from `Given.of`; by default what is the
                same for every image.
        """
        levels = self.model.encode(images, frames)
        found = self.model.decode(self.record.name, levels, self.prompt(frames, given))
        return select(found, self.wanted, self.names)

    def prompt(self, frames: Sequence[Frame], given: Mapping[str, Any] | None = None) -> Any:
        """The prompt for canvases of these frames; None if the task takes none."""
        if self.record.prompt is None:
            return None
        # Names are the same for every canvas, and take a text tower.
        if self.record.prompt.flags == ("labels",):
            return self._names_prompt
        given = given or self.asked.of(None, frames[0].original)
        return make_prompt(self.model, self.record, frames, given)

    @cached_property
    def _names_prompt(self) -> Any:
        return make_prompt(self.model, self.record, (), {"labels": self.asked.labels})
