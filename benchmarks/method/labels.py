"""The comparison with training on labels: the same student, at fractions of the pool's labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp2, log2
from pathlib import Path
from typing import Any

from benchmarks.method.data import take
from benchmarks.method.jobs import Job
from benchmarks.method.workers import LABELS

# Those whose tasks have labels in the scenes, and whose loss is known.
TEACHERS = ("detector/nano", "segmenter/nano")
SHARES = (8, 4, 2, 1)
BASE = "dino/nano"


def labeled(
    plain: Job, teacher: str, pool: Path, root: Path, shares: Sequence[int]
) -> Iterator[Job]:
    """A student for a teacher's tasks at each fraction of the labels.

    Args:
        plain: Ours: the same student, images and steps.
        teacher: Whose tasks.
        pool: All images.
        root: Where smaller pools go.
        shares: One of so many images has labels.
    """
    for share in shares:
        yield replace(
            plain,
            recipe=LABELS,
            variant=f"{teacher}, labels of 1/{share}" if share > 1 else f"{teacher}, all labels",
            teachers=f"{BASE},{teacher}",
            pool=str(take(pool, root, share)) if share > 1 else None,
            share=share,
        )


def reached(scores: Mapping[int, float], inherited: float) -> float | None:
    """The fraction of the labels at which a score is reached; between two, on a log scale.

    Args:
        scores: What is scored with one of so many labels.
        inherited: What is to be reached.

    Returns:
        None if all labels do not reach it; the least fraction if that reaches it already.

    Example:
        >>> reached({4: 0.2, 2: 0.4, 1: 0.6}, 0.5)
        0.7071067811865476
    """
    before: tuple[float, float] | None = None
    for share in sorted(scores, reverse=True):
        at, score = log2(1 / share), scores[share]
        if score >= inherited:
            if before is None:
                return exp2(at)
            return exp2(
                before[0] + (at - before[0]) * (inherited - before[1]) / (score - before[1])
            )
        before = at, score
    return None


def by_task(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[int, list[float]]]:
    """Of the students with labels, every task's scores by share, a seed each."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in rows:
        if row["recipe"] == LABELS and row["tier"] == "confirm":
            for task in row["per_task"]:
                shares = found.setdefault((task["teacher"], task["task"]), {})
                shares.setdefault(row["share"], []).append(task["student_score"])
    return found


def inherited(rows: Sequence[dict[str, Any]], teacher: str, task: str) -> list[dict[str, Any]]:
    """Of the distilled students, a task's entry, a seed each."""
    return [
        entry
        for row in rows
        if row["recipe"] != LABELS and row["tier"] == "confirm"
        for entry in row["per_task"]
        if (entry["teacher"], entry["task"]) == (teacher, task)
    ]
