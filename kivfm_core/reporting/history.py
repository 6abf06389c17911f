"""What a run recorded step by step: losses and gradients, by teacher."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kivfm_core.files import is_link
from kivfm_core.reporting.curves import Point
from kivfm_core.run_files import METRICS, RunFiles


class _Line(BaseModel):
    """A line of `metrics.jsonl`, as far as a page shows it."""

    model_config = ConfigDict(extra="ignore")

    step: int = Field(ge=0, lt=10**18)
    untrained: dict[str, float] = {}
    losses: dict[str, float] = {}
    pulls: dict[str, float] = {}
    skipped: int = 0


@dataclass
class History:
    """Points of curves, and what there is beside them.

    Attributes:
        losses: Each teacher's loss; the first point is of the untrained student.
        gradients: The norm of each teacher's gradient, where it was recorded.
        step: The last step that was recorded.
        skipped: How many steps were skipped.
    """

    losses: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    gradients: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    step: int = 0
    skipped: int = 0


def read_history(run: RunFiles) -> History:
    """A run's record of steps, without lines that are none: half a line is left by a kill."""
    file, history = run.path / METRICS, History()
    if not file.is_file() or is_link(file):
        return history
    with file.open(encoding="utf-8", errors="replace") as lines:
        for text in lines:
            if (line := _parse(text)) is not None:
                _add(history, line)
    return history


def _parse(text: str) -> _Line | None:
    try:
        return _Line.model_validate(json.loads(text))
    except (ValueError, RecursionError, ValidationError):
        return None


def _add(history: History, line: _Line) -> None:
    history.step = max(history.step, line.step)
    history.skipped += line.skipped
    for name, value in line.untrained.items():
        history.losses.setdefault(name, []).append((0, value))
    for name, value in line.losses.items():
        history.losses.setdefault(name, []).append((line.step, value))
    for name, value in line.pulls.items():
        # The others are of two teachers, `A, B`: the cosine between their gradients.
        if name in line.losses:
            history.gradients.setdefault(name, []).append((line.step, value))
