"""What the suite runs: a recipe or a variant of ours, distilled and evaluated."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.common import NANO
from benchmarks.jobs import run_once
from benchmarks.method.budget import IMAGE_SIZE, Size
from benchmarks.method.data import Pictures

TASKS = {
    "clip/nano": ("zero-shot",),
    "sam/nano": ("promptable-segmentation",),
    "detector/nano": ("detection", "instance-segmentation"),
    "segmenter/nano": ("semantic-segmentation",),
}
"""What the purpose teachers solve."""
BATCH = 8


@dataclass(frozen=True)
class Job:
    """What is run.

    Attributes:
        tier: `screen` is measured on validation pictures, `confirm` on test pictures.
        recipe: Its name.
        seed: Of the run.
        lr: Peak learning rate.
        weight_decay: Of the optimizer.
        steps: Optimizer steps.
        size: Of the student.
        limit: Pictures that a task is measured on, at most.
        variant: Of an ablation: its name, in place of the recipe's.
        flags: Further ones, which beat those above.
        teachers: Names, separated by commas; the base comes first.
        pool: Pictures to distil on, if not the suite's.
    """

    tier: Literal["screen", "confirm"]
    recipe: str
    seed: int
    lr: float
    weight_decay: float
    steps: int
    size: Size
    limit: int | None
    variant: str | None = None
    flags: tuple[str, ...] = ()
    teachers: str = NANO
    pool: str | None = None

    @property
    def name(self) -> str:
        """Of its run folder and its record."""
        what = re.sub(r"\W+", "-", self.variant or self.recipe)
        return f"{self.tier}-{what}-lr{self.lr:g}-wd{self.weight_decay:g}-seed{self.seed}"


def distilling(
    pictures: Pictures, root: Path, seed: int, teachers: str = NANO, pool: str | None = None
) -> list[str]:
    """The flags that are the same for all recipes, and for filling the cache."""
    return [
        "--teachers", teachers, "--data", pool or str(pictures.pool), "--seed", str(seed),
        "--batch-size", str(BATCH), "--image-size", str(IMAGE_SIZE),
        "--set", "data.views=1", "--set", f"cache.path={root / 'cache'}",
    ]  # fmt: skip


def run_job(job: Job, pictures: Pictures, root: Path, threads: int) -> dict[str, Any]:
    """Distills and evaluates, unless this very job was finished before.

    Args:
        job: What to run.
        pictures: What to distil and to evaluate on.
        root: Where runs, logs and records are.
        threads: Of each process.

    Returns:
        What `run_once` says, and the `job`.
    """
    run = root / job.name
    commands = [_distill(job, pictures, root, run), _evaluate(job, pictures, run)]
    return run_once(run, commands, threads) | {"job": asdict(job)}


def _distill(job: Job, pictures: Pictures, root: Path, run: Path) -> list[str]:
    sets = {
        "student.width": job.size.width,
        "student.hidden": job.size.hidden,
        "optim.lr": job.lr,
        "optim.weight_decay": job.weight_decay,
        "checkpoint.every": job.steps,
        "checkpoint.keep": 1,
    }
    shared = distilling(pictures, root, job.seed, job.teachers, job.pool)
    words = ["distill", *shared, "--recipe", job.recipe, "--steps", str(job.steps)]
    for key, value in sets.items():
        words += ["--set", f"{key}={value}"]
    return [*words, *job.flags, "--out", str(run)]


def _evaluate(job: Job, pictures: Pictures, run: Path) -> list[str]:
    tasks = [task for name in job.teachers.split(",") for task in TASKS.get(name, ())]
    sources = [str(pictures.validation)]
    if job.tier == "confirm":
        tasks.append("knn")
        sources = [*map(str, pictures.test), str(pictures.unseen)]
        sources += [f"knn={folder}" for folder in (pictures.classes, pictures.unseen)]
    words = ["evaluate", str(run), "--tasks", ",".join(tasks)]
    for source in sources:
        words += ["--data", source]
    return words + (["--limit", str(job.limit)] if job.limit else [])
