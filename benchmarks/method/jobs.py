"""What the suites run: a recipe, a variant of ours, or labels, and its evaluation."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.common import NANO
from benchmarks.jobs import finished, run_once
from benchmarks.method.data import SuiteImages
from benchmarks.method.equal_parameters import IMAGE_SIZE, Size
from benchmarks.method.workers import LABELS, call

# What the purpose teachers solve, by family.
TASKS = {
    "clip": ("zero-shot",),
    "sam": ("promptable-segmentation",),
    "detector": ("detection", "instance-segmentation"),
    "segmenter": ("semantic-segmentation",),
}
BATCH = 8


@dataclass(frozen=True)
class Job:
    """What is run.

    Attributes:
        tier: `screen` is measured on validation images, `confirm` on test images.
        recipe: Its name, or `labels`: no teacher, but labels.
        seed: Of the run.
        lr: Peak learning rate.
        weight_decay: Of the optimizer.
        steps: Optimizer steps.
        size: Of the student.
        limit: Images that a task is measured on, at most.
        variant: Of an ablation: its name, in place of the recipe's.
        flags: Further ones, which beat those above.
        teachers: Names, separated by commas; the base comes first.
        pool: Images to distil on, if not the suite's.
        share: One of so many of the suite's images are in the pool.
        base_weight: The base's weight in the loss; the others' is one.
        global_level_lr: Peak learning rate of global levels' aligners, if not the default.
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
    share: int = 1
    base_weight: float = 1.0
    global_level_lr: float | None = None

    @property
    def name(self) -> str:
        """Of its run folder and its record."""
        what = re.sub(r"\W+", "-", self.variant or self.recipe)
        rates = f"lr{self.lr:g}-wd{self.weight_decay:g}"
        if self.global_level_lr is not None:
            rates += f"-global{self.global_level_lr:g}"
        return f"{self.tier}-{what}-{rates}-{self.steps}-steps-seed{self.seed}"


@dataclass(frozen=True)
class Place:
    """Where jobs run, and on what.

    Attributes:
        images: What to distil and to evaluate on.
        root: Where runs, logs and records are.
        sets: `KEY=VALUE` for every distillation.
    """

    images: SuiteImages
    root: Path
    sets: tuple[str, ...] = ()

    @property
    def labels(self) -> Path:
        """The labels of the pool's images."""
        return self.root / "data" / "labels.npz"

    def distilling(
        self, seed: int, teachers: str = NANO, pool: str | None = None, base_weight: float = 1.0
    ) -> list[str]:
        """The flags that are the same for all recipes, and for filling the cache."""
        words = [*_teachers(teachers, base_weight), "--data", pool or str(self.images.pool),
                 "--seed", str(seed), "--batch-size", str(BATCH),
                 "--image-size", str(IMAGE_SIZE)]  # fmt: skip
        for line in ("data.views=1", f"cache.path={self.root / 'cache'}", *self.sets):
            words += ["--set", line]
        return words


def _teachers(names: str, base_weight: float) -> list[str]:
    if base_weight == 1:
        return ["--teachers", names]
    base, *others = names.split(",")
    listed = ", ".join(f'"{name}"' for name in others)
    return ["--set", f'teachers=[{{name="{base}", weight={base_weight:g}}}, {listed}]']


def is_finished(job: Job, place: Place) -> bool:
    """Whether there is a record of this very job."""
    return finished(place.root / job.name, commands(job, place)) is not None


def run_job(job: Job, place: Place) -> dict[str, Any]:
    """Trains and evaluates, unless this very job was finished before.

    Args:
        job: What to run.
        place: Where; a run of that name whose training is unfinished is begun anew.

    Returns:
        What `run_once` returns, and the `job`.
    """
    return run_once(place.root / job.name, commands(job, place), call) | {"job": asdict(job)}


def commands(job: Job, place: Place) -> list[list[str]]:
    """What trains a job's student, and what evaluates it."""
    run = place.root / job.name
    return [_train(job, place, run), _evaluate(job, place.images, run)]


def _train(job: Job, place: Place, run: Path) -> list[str]:
    sets = {
        "student.width": job.size.width,
        "student.hidden": job.size.hidden,
        "optim.lr": job.lr,
        "optim.weight_decay": job.weight_decay,
        "checkpoint.every": job.steps,
        "checkpoint.keep": 1,
    }
    if job.global_level_lr is not None:
        sets["optim.global_level_lr"] = job.global_level_lr
    if job.recipe == LABELS:  # the student that all teachers have, on its way to one of them
        shared = place.distilling(job.seed, NANO, job.pool)
        own = ["--teacher", job.teachers.split(",")[-1], "--labels", str(place.labels)]
        words = [LABELS, *own, *shared]
    else:
        shared = place.distilling(job.seed, job.teachers, job.pool, job.base_weight)
        words = ["distill", *shared, "--recipe", job.recipe]
    words += ["--steps", str(job.steps)]
    for key, value in sets.items():
        words += ["--set", f"{key}={value}"]
    return [*words, *job.flags, "--out", str(run)]


def _evaluate(job: Job, images: SuiteImages, run: Path) -> list[str]:
    families = dict.fromkeys(name.partition("/")[0] for name in job.teachers.split(","))
    tasks = [task for family in families for task in TASKS.get(family, ())]
    sources = [str(images.validation)]
    if job.tier == "confirm":
        sources = [*map(str, images.test), str(images.unseen)]
    if job.tier == "confirm" and job.recipe != LABELS:
        tasks.append("knn")
        sources += [f"knn={folder}" for folder in (images.classes, images.unseen)]
    words = ["evaluate", str(run), "--tasks", ",".join(tasks)]
    for source in sources:
        words += ["--data", source]
    return words + (["--limit", str(job.limit)] if job.limit else [])
