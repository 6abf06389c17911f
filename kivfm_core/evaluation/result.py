"""The result of an evaluation: rows, summary, and their file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

import numpy as np
from pydantic import Field

from kivfm_core.evaluation.bootstrap import Draws, Interval, interval, redraw
from kivfm_core.spec import Record
from kivfm_core.task import Chance
from kivfm_core.tasks.table import FIDELITY

# A score is above chance if it is so by more than this many of chance's standard errors.
ERRORS = 3


class Row(Record):
    """One teacher at one task on one source, beside its stand-in.

    Attributes:
        teacher: Its name.
        task: What was measured; `fidelity` for a teacher that solves none.
        metric: What the scores are.
        data: The source.
        pictures: How many were measured.
        bad: How many were skipped, since they cannot be decoded.
        objects: How many objects the scores rest on (boxes, masks, clicks), or, where images are
            counted, how many of them have a label that counts; None if the task does not say.
        limit: At most so many images of the source were taken; None if all were.
        teacher_score: The teacher's; None if its weights are not here.
        base_score: The base's; None unless the teacher is the base, which has no other's decoder.
        untrained_score: Its stand-in's before distillation; None unless a run is evaluated.
        student_score: Its stand-in's after distillation; None if a teacher is evaluated alone.
        bound_score: The teacher's after its levels pass through the shared latent: an upper bound
            for the student. None if the latent has room for all of the levels' channels.
        shared_score: Its stand-in's after distillation, on the canvas that all stand-ins share.
            None if that was not measured.
        shared_canvas: The short side of that canvas, in pixels.
        base: Whether the teacher is the base.
        chance_score: What is scored on these images by chance; None if that has no meaning.
        at_chance: Whether the teacher's score is no better than that: there is nothing to retain,
            and retention and gain are None.
        agreement: Whether the truth is what the teacher predicts itself, not labels; retention and
            gain are None then.
        teacher_interval: The 95 % interval of its score, by drawing the images anew; None, as any
            of these, if the task's meter does not know, or too few draws have a score.
        untrained_interval: That of its stand-in's before distillation.
        student_interval: That of its stand-in's after distillation.
        bound_interval: That of the upper bound.
        shared_interval: That of its stand-in's on the shared canvas.
        retention_interval: That of retention: in each draw all models are scored on the same
            images, so it is narrower than the scores' own.
        gain_interval: That of gain, likewise.
    """

    teacher: str
    task: str
    metric: str
    data: str
    pictures: int
    bad: int = 0
    objects: int | None = None
    limit: int | None = None
    teacher_score: float | None = None
    base_score: float | None = None
    untrained_score: float | None = None
    student_score: float | None = None
    bound_score: float | None = None
    shared_score: float | None = None
    shared_canvas: int | None = None
    base: bool = False
    chance_score: float | None = None
    at_chance: bool = False
    agreement: bool = False
    retention: float | None = None
    gain: float | None = None
    teacher_interval: Interval | None = None
    untrained_interval: Interval | None = None
    student_interval: Interval | None = None
    bound_interval: Interval | None = None
    shared_interval: Interval | None = None
    retention_interval: Interval | None = None
    gain_interval: Interval | None = None


class BaseRow(Record):
    """The base's own feature beside the student's, or a teacher's that is evaluated alone.

    Attributes:
        metric: What the scores are.
        data: The source.
        pictures: How many were measured.
        bad: How many were skipped, since they cannot be decoded.
        limit: At most so many images of the source were taken; None if all were.
        chance_score: What a guess among the classes scores.
        base_score: The base's, or the teacher's; None if the base's weights are not here.
        student_score: The student's; None of a teacher alone.
        base_interval: The 95 % interval of the base's, by drawing the images anew.
        student_interval: That of the student's.
    """

    metric: str
    data: str
    pictures: int
    bad: int = 0
    limit: int | None = None
    chance_score: float | None = None
    base_score: float | None = None
    student_score: float | None = None
    base_interval: Interval | None = None
    student_interval: Interval | None = None


class Summary(Record):
    """Over every selected teacher but the base.

    Means weigh every teacher the same, whatever its number of rows; minima are over rows. Rows of
    all images count; those of some count only where there are no others.

    Attributes:
        limit: At most so many images of each source were measured; None if all were.
        left_out: How many rows do not count: the teacher is at chance, or other rows rest on more
            images.
        retention_mean_interval: The 95 % interval, by drawing every row anew in its own; None, as
            any of these, if a row has none.
        retention_min_interval: That of the least.
        gain_mean_interval: That of the mean gain.
        gain_min_interval: That of the least gain.
        agreement_mean: The mean of the student's scores by the teachers' own predictions.
        agreement_min: The least of them.
        agreement_mean_interval: That of the mean.
        agreement_min_interval: That of the least.
    """

    retention_mean: float | None = None
    retention_min: float | None = None
    gain_mean: float | None = None
    gain_min: float | None = None
    limit: int | None = None
    left_out: int = 0
    retention_mean_interval: Interval | None = None
    retention_min_interval: Interval | None = None
    gain_mean_interval: Interval | None = None
    gain_min_interval: Interval | None = None
    agreement_mean: float | None = None
    agreement_min: float | None = None
    agreement_mean_interval: Interval | None = None
    agreement_min_interval: Interval | None = None


class Evaluation(Record):
    """The contents of `evaluation.json`.

    Attributes:
        data: The sources, as given.
        rows: A row for each teacher, task and source.
        base: The base's own features beside the student's, or those of a teacher alone.
        summary: Over the rows of tasks.
        skipped: What was not measured, and why.
        seconds: How long it took; the last time, if results were added.
        student: Identifies the student that was measured; empty for a teacher alone.
        notes: What was repaired, passed over or is strange in the labels, a line each, after its
            source.
        draws: How often the images were drawn anew for intervals; 0 in earlier versions' files.
        seed: Of the draws.
    """

    schema_version: int = Field(default=1, alias="schema")
    data: tuple[str, ...]
    rows: tuple[Row, ...]
    base: tuple[BaseRow, ...]
    summary: Summary
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0
    student: str = ""
    notes: tuple[str, ...] = ()
    draws: int = 0
    seed: int = 0

    def text(self) -> str:
        """The contents of the file."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"

    def added_to(self, earlier: Evaluation) -> Evaluation:
        """Earlier results, with these added, or in the place of their like.

        Results are alike if data, task, teacher and limit are. Those of another student, or of
        another version of the file, are replaced.
        """
        same = earlier.student in ("", self.student)  # earlier versions did not say
        if not same or earlier.schema_version != self.schema_version:
            return self
        rows = {_key(row): row for row in (*earlier.rows, *self.rows)}
        base = {_base_key(row): row for row in (*earlier.base, *self.base)}
        anew = {(row.teacher, row.task) for row in self.rows} | set(map(_about, self.skipped))
        skipped = [line for line in earlier.skipped if _about(line) not in anew]
        now = {*map(_key, self.rows), *map(_base_key, self.base)}
        stays = {row.data for key, row in (*rows.items(), *base.items()) if key not in now}
        notes = [line for line in earlier.notes if any(line.startswith(f"{s}: ") for s in stays)]
        return self.model_copy(
            update={
                "data": _unique((*earlier.data, *self.data)),
                "rows": tuple(rows.values()),
                "base": tuple(base.values()),
                "summary": summarize(list(rows.values())),
                "skipped": _unique((*skipped, *self.skipped)),
                "notes": _unique((*notes, *self.notes)),
            }
        )


def _key(row: Row) -> tuple[object, ...]:
    return row.data, row.task, row.teacher, row.limit, row.metric if row.agreement else ""


def _base_key(row: BaseRow) -> tuple[object, ...]:
    return row.data, row.metric, row.limit


def _about(skipped: str) -> tuple[str, ...]:
    """Teacher and task of a line of `skipped`, which begins with them."""
    return tuple(skipped.partition(": ")[0].split(", ")[:2])


def _unique(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))


def at_chance(teacher: float, chance: Chance | None, ends: Interval | None = None) -> bool:
    """Whether a score is no better than chance, as far as luck lets one see.

    Luck is in chance, by its standard error, and in which images there are, by the score's
    interval. Where chance scores nothing, any score is better.

    Args:
        teacher: The score.
        chance: What is scored by chance; None if that has no meaning.
        ends: The score's interval, if there is one.
    """
    if chance is None:
        return False
    surely = ends[0] if ends is not None and chance.score > 0 else teacher
    return surely <= chance.score or teacher <= chance.score + ERRORS * chance.error


def retention(teacher: float, student: float) -> float | None:
    """Student / teacher; None if the teacher scores zero."""
    return student / teacher if teacher > 0 else None


def gain(teacher: float, untrained: float, student: float) -> float | None:
    """(student - untrained) / (teacher - untrained); None if there is nothing to gain."""
    room = teacher - untrained
    return (student - untrained) / room if room > 0 else None


def summarize(rows: Sequence[Row]) -> Summary:
    """The summary of the tasks' rows, the base's own left out."""
    tasks = [row for row in rows if not row.base and row.task != FIDELITY]
    labeled, limit = _counted([row for row in tasks if not row.agreement])
    agreed, _ = _counted([row for row in tasks if row.agreement])
    agreement = [(row.teacher, row.student_score, row.student_interval) for row in agreed]
    return Summary(
        limit=limit,
        left_out=len(tasks) - len(labeled) - len(agreed),
        **_mean_min("retention", [(r.teacher, r.retention, r.retention_interval) for r in labeled]),
        **_mean_min("gain", [(r.teacher, r.gain, r.gain_interval) for r in labeled]),
        **_mean_min("agreement", agreement),
    )


def _counted(rows: Sequence[Row]) -> tuple[list[Row], int | None]:
    """The rows that count, and at most how many images they rest on; None for all."""
    limits = {row.limit for row in rows}
    limit = None if None in limits else max((n for n in limits if n is not None), default=None)
    return [row for row in rows if row.limit == limit and not row.at_chance], limit


def _mean_min(
    field: str, rows: Sequence[tuple[str, float | None, Interval | None]]
) -> dict[str, Any]:
    """The mean and the least of the teachers' numbers, with intervals where all rows have one."""
    known = [(teacher, value, ends) for teacher, value, ends in rows if value is not None]
    if not known:
        return {}
    teachers, values, ends = zip(*known, strict=True)
    pairs = [(value, own) for value, own in zip(values, ends, strict=True) if own is not None]
    found: dict[str, Any] = {
        f"{field}_mean": float(_mean_over(teachers, np.array([values]))[0]),
        f"{field}_min": min(values),
    }
    if len(pairs) == len(known):
        drawn = redraw(pairs)
        means, least = _mean_over(teachers, drawn), drawn.min(axis=1)
        for name, draws in ((f"{field}_mean", means), (f"{field}_min", least)):
            found[f"{name}_interval"] = interval(draws, found[name], (-inf, inf))
    return found


def _mean_over(teachers: Sequence[str], values: Draws) -> Draws:
    """Means `[D]` of values `[D, R]` of rows, every teacher weighed the same."""
    weights = np.array([1 / teachers.count(teacher) for teacher in teachers])
    return values @ (weights / weights.sum())
