"""The interface of a tracker, and what it gets of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a tracker needs to know it.

    Attributes:
        path: The run folder.
        config: The configuration, by dotted keys.
        first: Number of steps made before.
        id: What the tracker called this run when the run began; None if the run is new to it.
    """

    path: Path
    config: Mapping[str, Any]
    first: int
    id: str | None


class Tracker(Protocol):
    """Where a run's losses are shown.

    Attributes:
        id: What the tracker calls the run, for a resumed run to go on there; None if the run's
            folder says it.
    """

    id: str | None

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Takes what was measured after so many steps; names may have slashes and commas."""
        ...

    def close(self) -> None:
        """Sends what is left."""
        ...
