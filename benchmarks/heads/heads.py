"""What the benchmarks of heads share: their jobs, and scores on the same draws of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kivfm_core.data.sources import formats_of, load_data, parse_source
from kivfm_core.evaluation.compared import ComparedRow
from kivfm_core.evaluation.measure import measure
from kivfm_core.evaluation.seeds import Drawn
from kivfm_core.models.open import open_model
from kivfm_core.registry.registry import find_task

NAME = "bench"


@dataclass(frozen=True)
class Job:
    """A head to train.

    Attributes:
        task: What it solves.
        kind: Its kind.
        train: The labels that it learns from.
        val: The labels that it is scored on, once, after the last step.
        steps: Optimizer steps.
    """

    task: str
    kind: str
    train: str
    val: str
    steps: int


def load_labels(task: str, source: str) -> Any:
    """Labels for a task, of the format that they are in."""
    record = find_task(task)
    names = [kind.name for kind in formats_of(record)]
    return load_data(parse_source(source, names), record, None)


def score(run: str | Path, job: Job, teacher: str = f"head/{NAME}", name: str = "") -> Drawn:
    """What a run's student scores with a decoder, with the draws of that.

    Args:
        run: The run.
        job: Says the task and the labels.
        teacher: Whose decoder it is.
        name: What the row calls the run; by default as it is.
    """
    model = open_model(str(run), "cpu")
    found = measure(
        [model.solver(teacher)], {job.task: load_labels(job.task, job.val)}, draws=True
    )[job.task]
    print(f"{name or run}: {job.task} {found.values[0]:.3f}", flush=True)
    return row(name or str(run), job, found.values[0], found.images), found.draws[0]


def row(name: str, job: Job, value: float, images: int) -> ComparedRow:
    """A score as a row that can be averaged over seeds."""
    metric = find_task(job.task).metric
    return ComparedRow(
        model=name, teacher=NAME, task=job.task, metric=metric, data=job.val,
        pictures=images, score=value,
    )  # fmt: skip


def as_cells(average: Mapping[str, Any]) -> list[str]:
    """An average over seeds as cells: name, mean with deviation, difference with its interval."""
    deviation, ends = average["deviation"], average["difference_interval"]
    spread = "" if deviation is None else f" ± {deviation:.3f}"
    cells = [average["group"], f"{average['score']:.3f}{spread}"]
    if ends is None:
        return [*cells, "", ""]
    difference = f"{average['difference']:+.3f} ({ends[0]:+.3f} to {ends[1]:+.3f})"
    return [*cells, difference, "yes" if average["beyond_chance"] else "no"]


def numbers(text: str) -> list[int]:
    """A list of numbers, as a flag gives it."""
    return [int(word) for word in text.split(",")]
