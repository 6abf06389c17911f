"""The comparison with labels as a page and a figure."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.common import spread, table
from benchmarks.method.labels import by_task, inherited, reached
from benchmarks.method.page import ending, tried
from benchmarks.method.plot import drawn
from benchmarks.method.workers import LABELS

Row = dict[str, Any]
NOTES = (
    "The same student (base, adapter, aligners), the same images, views, batches, steps and "
    "optimizer. With labels there is no teacher: a decoder of the teacher's form is trained too, "
    "from random weights, with the loss that the teacher was trained with, one student for each "
    "teacher; the learning rate is chosen on validation images, with all labels, as the "
    "distilled student's is. The distilled student learns from all of the pool's images and "
    "none of their labels; its teachers had 8000 images of their own, with labels. "
    "Classification is left out: the pool's images hold several objects each, so they have no "
    "class."
)


def labels_markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    rows = record["rows"]
    tasks = by_task(rows)
    shares = sorted({row["share"] for row in rows if row["recipe"] == LABELS}, reverse=True)
    seeds = max(len(scores) for task in tasks.values() for scores in task.values())
    steps = next(row["steps"] for row in rows if row["tier"] == "confirm")
    columns = " | ".join(f"1/{share}" if share > 1 else "all labels" for share in shares)
    return "\n".join(
        [
            f"# {record['suite']}",
            "",
            f"Scores on test images, mean ± spread over {seeds} seeds, by the fraction of the "
            f"pool's labels; {steps} steps each.",
            "",
            *table(
                f"task | {columns} | distilled, no labels | the teacher | reached at",
                [_line(task, tasks[task], shares, rows) for task in tasks],
            ),
            "",
            *(f"{_sentence(task, tasks[task], rows)}" for task in tasks),
            "",
            f"![Scores by fraction]({record['suite']}.svg)",
            "",
            NOTES,
            "",
            *_sizes(rows),
            *tried(rows),
            *ending(record),
        ]
    )


def _line(
    task: tuple[str, str], scores: dict[int, list[float]], shares: list[int], rows: list[Row]
) -> tuple[str, ...]:
    ours = inherited(rows, *task)
    at = _reached(scores, ours)
    return (
        f"{task[0]} {task[1]}",
        *(spread(scores.get(share, [])) for share in shares),
        spread([entry["student_score"] for entry in ours]),
        f"{ours[0]['teacher_score']:.3f}" if ours else "-",
        f"{at:.2f}" if at else "-",
    )


def _reached(scores: dict[int, list[float]], ours: list[Row]) -> float | None:
    means = {share: fmean(found) for share, found in scores.items()}
    return reached(means, fmean(entry["student_score"] for entry in ours)) if ours else None


def _sentence(task: tuple[str, str], scores: dict[int, list[float]], rows: list[Row]) -> str:
    ours = inherited(rows, *task)
    at, least = _reached(scores, ours), 1 / max(scores)
    if not ours:
        return f"- {task[1]}: there is no distilled student beside it."
    if at is None:
        best, score = fmean(scores[min(scores)]), fmean(entry["student_score"] for entry in ours)
        return (
            f"- {task[1]}: all labels do not reach the distilled student ({best:.3f}, {score:.3f})."
        )
    if at <= least:
        return f"- {task[1]}: the least fraction, {least:g}, reaches the distilled student already."
    return (
        f"- {task[1]}: the distilled student is reached at {at:.0%} of the labels (interpolated)."
    )


def _sizes(rows: list[Row]) -> list[str]:
    """How many images and parameters."""
    made = {
        (row["variant"] or row["recipe"], f"{row['trainable']:,}", f"{row['lr']:g}")
        for row in rows
        if row["tier"] == "confirm"
    }
    return [
        "## What was trained",
        "",
        *table("student | trainable, decoder aside | lr", sorted(made)),
        "",
    ]


def labels_plot(rows: list[Row], file: Path) -> None:
    """Draws every task's scores over the fraction, the distilled student's beside them."""
    tasks = by_task(rows)
    with drawn(file, (4 * len(tasks), 3.2), len(tasks)) as axes:
        for place, (task, scores) in zip(axes, tasks.items(), strict=False):
            fractions = [1 / share for share in scores]
            place.plot(fractions, [fmean(found) for found in scores.values()], "o-", label="labels")
            for share, found in scores.items():
                place.scatter([1 / share] * len(found), found, s=14, color="C0", alpha=0.5)
            ours = inherited(rows, *task)
            if ours:
                score = fmean(entry["student_score"] for entry in ours)
                place.axhline(score, color="C1", label="distilled, no labels")
                place.axhline(ours[0]["teacher_score"], color="C2", ls=":", label="teacher")
            place.set_xscale("log", base=2)
            place.set_xticks(fractions, [f"1/{s}" if s > 1 else "all" for s in scores])
            place.set_title(f"{task[0]} {task[1]}", fontsize=9)
            place.set_ylim(0)
            place.grid(alpha=0.3)
            place.legend(fontsize=8)
