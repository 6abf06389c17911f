"""What measures one task on one data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.teacher import Teacher


class Meter(Protocol):
    """Collects predictions, batch by batch, and gives a score in 0..1."""

    def prompt(self, teacher: Teacher, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The prompt for a batch; None if the task takes none."""
        ...

    def update(
        self, predictions: Predictions, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Takes the predictions for the pictures of these indices."""
        ...

    def compute(self) -> float:
        """The score of all pictures so far."""
        ...


class Promptless:
    """The prompt of tasks that take none."""

    def prompt(self, teacher: Teacher, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """None."""
        return None
