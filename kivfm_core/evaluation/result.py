"""The result of an evaluation: rows, summary, and their file."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from pydantic import Field

from kivfm_core.run_files import EVALUATION
from kivfm_core.spec import Record


class Row(Record):
    """One teacher at one task on one source, beside the student in its place.

    Attributes:
        teacher: Its name.
        task: What was measured; `fidelity` for a teacher that solves none.
        metric: What the scores are.
        data: The source.
        pictures: How many were measured.
        bad: How many were skipped, since they cannot be decoded.
        teacher_score: The teacher's.
        base_score: The base's; None unless the teacher is the base, which has no other's decoder.
        untrained_score: Its stand-in's before distillation.
        student_score: Its stand-in's after distillation.
        bound_score: The teacher's after its levels pass through the shared latent: an upper bound
            for the student. None if the latent has room for all of the levels' channels.
        base: Whether the teacher is the base.
    """

    teacher: str
    task: str
    metric: str
    data: str
    pictures: int
    bad: int = 0
    teacher_score: float
    base_score: float | None
    untrained_score: float
    student_score: float
    bound_score: float | None = None
    base: bool = False
    retention: float | None = None
    gain: float | None = None


class BaseRow(Record):
    """The base's own feature beside the student's."""

    metric: str
    data: str
    pictures: int
    bad: int = 0
    base_score: float
    student_score: float


class Summary(Record):
    """Over every selected teacher but the base.

    Means weigh every teacher the same, whatever its number of rows; minima are over rows.
    """

    retention_mean: float | None = None
    retention_min: float | None = None
    gain_mean: float | None = None
    gain_min: float | None = None


class Evaluation(Record):
    """The contents of `evaluation.json`.

    Attributes:
        data: The sources, as given.
        rows: A row for each teacher, task and source.
        base: The base's own features beside the student's.
        summary: Over the rows of tasks.
        skipped: What was not measured, and why.
        seconds: How long it took.
    """

    schema_version: int = Field(default=1, alias="schema")
    data: tuple[str, ...]
    rows: tuple[Row, ...]
    base: tuple[BaseRow, ...]
    summary: Summary
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0

    def save(self, folder: Path) -> Path:
        """Writes `evaluation.json` into a run's folder."""
        file = folder / EVALUATION
        file.write_text(self.model_dump_json(by_alias=True, indent=2) + "\n")
        return file


def retention(teacher: float, student: float) -> float | None:
    """Student / teacher; None if the teacher scores zero."""
    return student / teacher if teacher > 0 else None


def gain(teacher: float, untrained: float, student: float) -> float | None:
    """(student - untrained) / (teacher - untrained); None if there is nothing to gain."""
    room = teacher - untrained
    return (student - untrained) / room if room > 0 else None


def summarize(rows: list[Row]) -> Summary:
    """The summary of the tasks' rows, the base's own left out."""
    counted = [row for row in rows if not row.base and row.task != "fidelity"]

    def mean_min(field: str) -> tuple[float | None, float | None]:
        values: dict[str, list[float]] = {}
        for row in counted:
            value: float | None = getattr(row, field)
            if value is not None:
                values.setdefault(row.teacher, []).append(value)
        if not values:
            return None, None
        return fmean(map(fmean, values.values())), min(map(min, values.values()))

    retention_mean, retention_min = mean_min("retention")
    gain_mean, gain_min = mean_min("gain")
    return Summary(
        retention_mean=retention_mean,
        retention_min=retention_min,
        gain_mean=gain_mean,
        gain_min=gain_min,
    )
