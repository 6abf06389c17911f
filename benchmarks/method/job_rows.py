"""From what a job measured to the suite's row of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.method.data import SuiteImages
from benchmarks.method.figures import over_teachers
from kivfm_core.evaluation.result import BaseRow, Evaluation, Row, gain, retention

KEPT = {"k-NN top-1": "knn", "linear probe top-1": "probe"}


def make_row(record: dict[str, Any], images: SuiteImages) -> dict[str, Any]:
    """The row of a finished job.

    Args:
        record: As `run_job` gives it.
        images: What it was measured on; the unseen domain is counted apart.

    Returns:
        The job's settings, the figures of seen domains, and under `unseen` the same of the other.
    """
    evaluation = Evaluation.model_validate(record["evaluation"])

    def part(unseen: bool) -> dict[str, Any] | None:
        rows = [row for row in evaluation.rows if _is(row, images.unseen) == unseen]
        base = [row for row in evaluation.base if _is(row, images.unseen) == unseen]
        return figures(by_task(rows), base) if rows else None

    facts = {key: record[key] for key in ("trainable", "train_seconds", "seconds", "commit")}
    facts["machine"] = record.get("machine")  # earlier records do not have it
    return {**record["job"], **facts, **(part(False) or {}), "unseen": part(True)}


def _is(row: Row | BaseRow, folder: Path) -> bool:
    return row.data == str(folder)


def figures(tasks: Sequence[dict[str, Any]], base: Sequence[BaseRow]) -> dict[str, Any]:
    """A student's figures over its teachers.

    Args:
        tasks: Of each, its `teacher`, `retention` and `gain`.
        base: The base's scores and the student's.
    """
    kept = _over(tasks, "retention")
    gained = _over(tasks, "gain")
    scores = {
        f"{KEPT[row.metric]}_{who}": score
        for row in base
        for who, score in (("base", row.base_score), ("student", row.student_score))
    }
    return {
        "retention_mean": kept["mean"],
        "retention_min": kept["min"],
        "imbalance": kept["std"],
        "gain_mean": gained["mean"],
        "gain_min": gained["min"],
        **scores,
        "per_task": tasks,
    }


def by_task(rows: Iterable[Row], part: Callable[[Row], str] | None = None) -> list[dict[str, Any]]:
    """One entry a task: the means over the blocks of images, and the blocks.

    Args:
        rows: Of all blocks.
        part: What tells blocks apart, if a task is measured on several kinds of images.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.teacher, row.task, part(row) if part else ""), []).append(row)
    tasks: list[dict[str, Any]] = []
    for (teacher, task, data), blocks in groups.items():
        own, before, after = (
            fmean(getattr(row, f"{who}_score") for row in blocks)
            for who in ("teacher", "untrained", "student")
        )
        tasks.append(
            {
                "teacher": teacher,
                "task": task,
                "metric": blocks[0].metric,
                "pictures": sum(row.pictures for row in blocks),
                "teacher_score": own,
                "untrained_score": before,
                "student_score": after,
                "retention": retention(own, after),
                "gain": gain(own, before, after),
                "teacher_blocks": [row.teacher_score for row in blocks],
                "student_blocks": [row.student_score for row in blocks],
                **({"data": data} if data else {}),
            }
        )
    return tasks


def _over(tasks: Sequence[dict[str, Any]], what: str) -> dict[str, float | None]:
    """Tasks without this figure, whose teacher scores nothing, do not count."""
    known = [task for task in tasks if task[what] is not None]
    if not known:
        return dict.fromkeys(("mean", "min", "std"))
    values = np.array([task[what] for task in known])
    figures = over_teachers(values, [task["teacher"] for task in known])
    return {name: float(value) for name, value in figures.items()}
