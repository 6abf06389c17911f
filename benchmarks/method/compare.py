"""Two recipes on the same seeds and images: a paired bootstrap over both.

Images are drawn in the blocks in which they were scored, not one by one: average precision is no
mean over images, so an image has no score of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.method.figures import Scores, over_teachers

DRAWS = 5000
FIGURES = {"mean": "retention_mean", "min": "retention_min", "std": "imbalance"}


Key = tuple[str, str, str]


def key(task: dict[str, Any]) -> Key:
    """What identifies a task in a row: its teacher, its name, and its data if that differs."""
    return task["teacher"], task["task"], task.get("data", "")


def compare(
    ours: Sequence[dict[str, Any]], rival: Sequence[dict[str, Any]], draws: int = DRAWS
) -> dict[str, dict[str, float]]:
    """How far one recipe's retention differs from another's.

    Args:
        ours: Its rows; those whose seed the other has, too, are compared.
        rival: The other's.
        draws: Of seeds and blocks, with replacement.

    Returns:
        For each figure the mean `difference`, ours less the rival's, and the `low` and `high` end
        of its 95 % interval; empty without a common seed.
    """
    seeds = sorted({row["seed"] for row in ours} & {row["seed"] for row in rival})
    if not seeds:
        return {}
    tasks = [key(task) for task in ours[0]["per_task"]]
    sides = [_scores(rows, seeds, tasks) for rows in (ours, rival)]
    teachers = [teacher for teacher, _, _ in tasks]
    random = np.random.default_rng(0)
    count, blocks = sides[0][0].shape[:2]

    def difference(rows: Scores | slice, columns: Scores | slice) -> dict[str, float]:
        first, second = (
            over_teachers(
                student[rows][:, columns].mean(1) / teacher[rows][:, columns].mean(1), teachers
            )
            for student, teacher in sides
        )
        return {FIGURES[name]: float((first[name] - second[name]).mean()) for name in FIGURES}

    drawn = [
        difference(random.integers(count, size=count), random.integers(blocks, size=blocks))
        for _ in range(draws)
    ]
    found: dict[str, dict[str, float]] = {}
    for name, value in difference(slice(None), slice(None)).items():
        low, high = np.quantile([draw[name] for draw in drawn], (0.025, 0.975))
        found[name] = {"difference": value, "low": float(low), "high": float(high)}
    return found


def _scores(
    rows: Sequence[dict[str, Any]], seeds: Sequence[int], tasks: Sequence[Key]
) -> tuple[Scores, Scores]:
    """The student's and the teachers' scores, each `[seeds, blocks, tasks]`."""
    by_seed = {row["seed"]: row for row in rows}

    def read(what: str) -> Scores:
        tables: list[list[list[float]]] = []
        for seed in seeds:
            blocks = {key(task): task[what] for task in by_seed[seed]["per_task"]}
            tables.append([blocks[task] for task in tasks])
        return np.array(tables).transpose(0, 2, 1)

    return read("student_blocks"), read("teacher_blocks")
