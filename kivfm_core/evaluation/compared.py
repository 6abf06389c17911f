"""What a comparison of models says: the records, torch-free."""

from __future__ import annotations

from typing import Literal

from kivfm_core.evaluation.bootstrap import DRAWS, SEED, Interval
from kivfm_core.spec import Record


class ComparedModel(Record):
    """A model of a comparison.

    Attributes:
        model: As it was given.
        parameters: Of its encoder: of a student with its adapter and aligners. Decoders are left
            out, as they are the same.
        images_per_second: That its encoder took in one run on this machine, a batch at a time.
        license: The strictest that its weights and code are under.
        commercial_use: What that allows.
    """

    model: str
    parameters: int
    images_per_second: float
    license: str
    commercial_use: Literal["yes", "no", "unknown"]


class Compared(Record):
    """A score at one task on one source, beside that of the first that solves the task.

    Attributes:
        teacher: Whose decoder was used.
        task: What was measured.
        metric: What the score is.
        data: The source.
        pictures: How many were measured.
        score: The score; of several runs their mean.
        score_interval: Its 95 % interval: by images, and of several runs by seeds, too.
        chance_score: What is scored by chance; None if that has no meaning.
        difference: The score less the first one; None of the first.
        difference_interval: Its interval: in each draw both are scored on the same images. None if
            the task's meter does not know.
        beyond_chance: Whether the difference is more than the choice of images, and of several
            runs the choice of seeds, makes.
    """

    teacher: str
    task: str
    metric: str
    data: str
    pictures: int
    score: float
    score_interval: Interval | None = None
    chance_score: float | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    beyond_chance: bool | None = None


class ComparedRow(Compared):
    """A model at one task on one source.

    Attributes:
        model: As it was given.
    """

    model: str


class Average(Compared):
    """Runs that differ only by seed, at a task on one source; or one run that has no like.

    Attributes:
        group: The name of the first of them.
        runs: Their names.
        deviation: The standard deviation between the runs' scores; None of one run.
    """

    group: str
    runs: tuple[str, ...]
    deviation: float | None = None


class ModelComparison(Record):
    """Several models on the same data.

    Attributes:
        data: The sources, as given.
        models: The models, in the order in which they were given.
        rows: A row for each task, source, model and decoder.
        skipped: What was not measured, and why.
        draws: How often the images were drawn anew for intervals.
        seed: Of the draws.
        averages: Over runs that differ only by seed; empty if that was not wanted.
    """

    data: tuple[str, ...]
    models: tuple[ComparedModel, ...]
    rows: tuple[ComparedRow, ...]
    skipped: tuple[str, ...] = ()
    draws: int = DRAWS
    seed: int = SEED
    averages: tuple[Average, ...] = ()
