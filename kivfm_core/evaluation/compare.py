"""Models side by side on the same data: scores, what they differ by, size, speed and license."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kivfm_core.data.batches import batches
from kivfm_core.errors import DataError, UsageError
from kivfm_core.evaluation.bootstrap import Draws, differences, interval
from kivfm_core.evaluation.compared import ComparedModel, ComparedRow, ModelComparison
from kivfm_core.evaluation.measure import measure
from kivfm_core.evaluation.seeds import Drawn, average, group_by_seed
from kivfm_core.evaluation.worklist import Item, Worklist, list_work
from kivfm_core.licenses.terms import inherited
from kivfm_core.models.model import Model
from kivfm_core.progress import Progress, reporter, stage
from kivfm_core.spec import TeacherSpec

# Images that a speed is measured on, after a first batch that is not timed.
TIMED = 64
# By names of models, tasks and data: the first model's score with its draws.
_First = dict[tuple[str, str], tuple[float, Draws | None]]


def compare_models(
    models: Sequence[Model],
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    seeds: bool = False,
    progress: Progress | None = None,
) -> ModelComparison:
    """Measures models at all tasks that they solve.

    Args:
        models: Open ones; differences are to the first that solves a task.
        data: As `evaluate` takes them.
        tasks: Only these.
        limit: At most so many images of each source.
        seeds: Whether runs that differ only by seed are averaged, too.
        progress: Where to report; by default in a notebook, and nowhere else.

    Raises:
        UsageError: If there is no model, one is named twice, or no two runs differ only by seed.
        DataError: If nothing can be measured.
    """
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names):
        raise UsageError("give models of different names", "kivfm compare MODEL MODEL ... --data D")
    groups = group_by_seed(models) if seeds else {}  # before anything is measured
    report, first = reporter(progress), _First()
    rows, about, skipped = list[Drawn](), list[ComparedModel](), list[str]()
    for model in models:
        try:
            work = list_work(model.specs, data, tasks, limit)
        except DataError as error:
            skipped.append(f"{model.name}: {error.message}")
            continue
        rows += _rows(model, work, first, report)
        skipped += [f"{model.name}: {line}" for line in work.skipped]
        assert work.images is not None  # a worklist without images is refused
        about.append(_about(model, work.images))
    if not rows:
        raise DataError(f"nothing could be compared: {'; '.join(skipped)}")
    order = {key: number for number, key in enumerate(first)}
    rows.sort(key=lambda drawn: order[drawn[0].task, drawn[0].data])
    return ModelComparison(
        data=tuple(data),
        models=tuple(about),
        rows=tuple(row for row, _ in rows),
        skipped=tuple(skipped),
        averages=average(rows, groups) if seeds else (),
    )


def _rows(model: Model, work: Worklist, first: _First, progress: Progress) -> list[Drawn]:
    """A model at all of its tasks; what cannot be measured is added to what is skipped."""
    rows = list[Drawn]()
    for spec in model.specs:
        for item in work.teachers[spec.name]:
            try:
                rows.append(_row(model, spec, item, first, progress))
            except DataError as error:
                work.skipped.append(f"{spec.name}, {item.task}: {error.message}")
    return rows


def _row(model: Model, spec: TeacherSpec, item: Item, first: _First, progress: Progress) -> Drawn:
    """A model at a task, beside the first model that solves it."""
    tick = stage(progress, f"{model.name}: {item.task}")
    score = measure([model.solver(spec.name)], {item.task: item.data}, tick, draws=True)[item.task]
    (value,), (drawn,) = score.values, score.draws
    key = (item.task, str(item.source))
    is_first = key not in first
    base, others = first.setdefault(key, (value, drawn))
    ends = None if is_first else interval(differences(drawn, others), value - base, (-1.0, 1.0))
    row = ComparedRow(
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
    return row, drawn


def _about(model: Model, images: Item) -> ComparedModel:
    """Size, speed and terms of a model."""
    terms = inherited(model.origins)
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
