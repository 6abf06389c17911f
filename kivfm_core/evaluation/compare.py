"""Models side by side on the same data: scores, what they differ by, size, speed and license."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from kivfm_core.data.batches import batches
from kivfm_core.errors import DataError, UsageError
from kivfm_core.evaluation.bootstrap import DRAWS, SEED, Draws, Interval, differences, interval
from kivfm_core.evaluation.measure import measure
from kivfm_core.evaluation.worklist import Item, list_work
from kivfm_core.licenses.terms import inherited
from kivfm_core.models.model import Model
from kivfm_core.progress import Progress, Silent, stage
from kivfm_core.spec import Record, TeacherSpec

# Images that a speed is measured on, after a first batch that is not timed.
TIMED = 64
# By names of models, tasks and data: the first model's score with its draws.
_First = dict[tuple[str, str], tuple[float, Draws | None]]


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


class ComparedRow(Record):
    """A model at one task on one source.

    Attributes:
        model: As it was given.
        teacher: Whose decoder was used.
        task: What was measured.
        metric: What the score is.
        data: The source.
        pictures: How many were measured.
        score: The score.
        score_interval: Its 95 % interval.
        chance_score: What is scored by chance; None if that has no meaning.
        difference: The score less that of the first model that solves the task; None of that model.
        difference_interval: Its interval: in each draw both are scored on the same images. None if
            the task's meter does not know.
        beyond_chance: Whether the difference is more than the choice of images makes.
    """

    model: str
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


class ModelComparison(Record):
    """Several models on the same data.

    Attributes:
        data: The sources, as given.
        models: The models, in the order in which they were given.
        rows: A row for each task, source, model and decoder.
        skipped: What was not measured, and why.
        draws: How often the images were drawn anew for intervals.
        seed: Of the draws.
    """

    data: tuple[str, ...]
    models: tuple[ComparedModel, ...]
    rows: tuple[ComparedRow, ...]
    skipped: tuple[str, ...] = ()
    draws: int = DRAWS
    seed: int = SEED


def compare_models(
    models: Sequence[Model],
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> ModelComparison:
    """Measures models at all tasks that they solve.

    Args:
        models: Open ones; differences are to the first that solves a task.
        data: As `evaluate` takes them.
        tasks: Only these.
        limit: At most so many images of each source.
        progress: Where to report.

    Raises:
        UsageError: If there is no model, or one is named twice.
        DataError: If nothing can be measured.
    """
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names):
        raise UsageError("give models of different names", "kivfm compare MODEL MODEL ... --data D")
    report, first = progress or Silent(), _First()
    rows, about, skipped = list[ComparedRow](), list[ComparedModel](), list[str]()
    for model in models:
        try:
            work = list_work(model.specs, data, tasks, limit)
        except DataError as error:
            skipped.append(f"{model.name}: {error.message}")
            continue
        skipped += [f"{model.name}: {line}" for line in work.skipped]
        for spec in model.specs:
            for item in work.teachers[spec.name]:
                try:
                    rows.append(_row(model, spec, item, first, report))
                except DataError as error:
                    skipped.append(f"{model.name}: {spec.name}, {item.task}: {error.message}")
        assert work.images is not None  # a worklist without images is refused
        about.append(_about(model, work.images))
    if not rows:
        raise DataError(f"nothing could be compared: {'; '.join(skipped)}")
    order = {key: number for number, key in enumerate(first)}
    rows.sort(key=lambda row: order[row.task, row.data])
    return ModelComparison(
        data=tuple(data), models=tuple(about), rows=tuple(rows), skipped=tuple(skipped)
    )


def _row(
    model: Model, spec: TeacherSpec, item: Item, first: _First, progress: Progress
) -> ComparedRow:
    """A model at a task, beside the first model that solves it."""
    tick = stage(progress, f"{model.name}: {item.task}")
    score = measure([model.solver(spec.name)], {item.task: item.data}, tick, draws=True)[item.task]
    (value,), (drawn,) = score.values, score.draws
    key = (item.task, str(item.source))
    base, others = first.setdefault(key, (value, drawn))
    is_first = others is drawn
    ends = None if is_first else interval(differences(drawn, others), value - base, (-1.0, 1.0))
    return ComparedRow(
        model=model.name,
        teacher=spec.name,
        task=item.task,
        metric=item.metric,
        data=str(item.source),
        pictures=score.images,
        score=value,
        score_interval=interval(drawn, value),
        chance_score=score.chance.score if score.chance else None,
        difference=None if is_first else value - base,
        difference_interval=ends,
        beyond_chance=None if ends is None else not ends[0] <= 0 <= ends[1],
    )


def _about(model: Model, images: Item) -> ComparedModel:
    """Size, speed and terms of a model."""
    terms = inherited(model.specs)
    return ComparedModel(
        model=model.name,
        parameters=sum(p.numel() for p in model.network.parameters()),
        images_per_second=round(_speed(model, images), 2),
        license=terms.strictest,
        commercial_use=terms.commercial_use,
    )


def _speed(model: Model, images: Item) -> float:
    """Images a second through its encoder; of one batch, if there is only one."""
    encoder, number, seconds = model.encoder, 0, 0.0
    for position, batch in enumerate(batches(images.data.take(TIMED).paths, encoder.spec.input)):
        if position == 0:
            encoder.encode(batch.images, batch.frames)
        began = time.monotonic()
        levels = encoder.encode(batch.images, batch.frames)
        # Reading a number waits for a device that computes behind.
        next(iter(levels.values())).flatten()[0].item()
        seconds += time.monotonic() - began
        number += len(batch.indices)
    return number / max(seconds, 1e-9)
