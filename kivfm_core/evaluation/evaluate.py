"""Evaluates a run: the student beside its teachers, task by task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.sources import KNN, load_data, parse_source
from kivfm_core.errors import DataError
from kivfm_core.evaluation.features.base_features import measure_kept
from kivfm_core.evaluation.features.knn import measure_knn
from kivfm_core.evaluation.fidelity import measure_fidelity
from kivfm_core.evaluation.measure import Score, measure
from kivfm_core.evaluation.result import BaseRow, Evaluation, Row, gain, retention, summarize
from kivfm_core.evaluation.round_trip import RoundTrip
from kivfm_core.evaluation.worklist import Item, Plan, Planner
from kivfm_core.runs.run import Run, open_run
from kivfm_core.student.on_device import find_device, on_device
from kivfm_core.tasks.table import FIDELITY, FIDELITY_METRIC, MEASURES
from kivfm_core.teacher import Encoder, Teacher

Progress = Callable[[str, int, int], None]
"""Told what is measured, and (pictures done, pictures in all) of it."""


def evaluate(
    run: str | Path | Run,
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Measures a run's student in every teacher's place, and writes `evaluation.json`.

    For each teacher and task the same canvases go to the teacher, to its stand-in, and to its
    stand-in before distillation; where the shared latent is narrower than the teacher's levels,
    also to the teacher by way of it.

    Args:
        run: A run's folder, or the run.
        data: `SOURCE`, in which every task finds what it can, or `TASK=SOURCE`; a source is
            `[FORMAT:]PATH`.
        tasks: Only these.
        limit: At most so many pictures of each source.
        accelerator: Where encoders compute, as in `engine.accelerator`; a GPU if CUDA has one.
        progress: Told how far it is.

    Raises:
        UsageError: If a task is unknown, or there is no such accelerator.
        DataError: If the data cannot be used.
    """
    began = time.monotonic()
    device = find_device(accelerator)

    def there(model: Teacher) -> Teacher:
        return on_device(model, device)

    run = open_run(run) if isinstance(run, str | Path) else run
    plan = Planner(data, tasks, limit).plan(run.teachers)
    student, untrained = run.load_student(), run.load_student(untrained=True)
    rows: list[Row] = []
    for spec in run.teachers:
        items, no_task = plan.teachers[spec.name], not spec.tasks and tasks is None
        if items or no_task:
            stand_ins = (s.stand_in(spec.name) for s in (untrained, student))
            models = [there(model) for model in (run.load_teacher(spec.name), *stand_ins)]
            if any(plan.narrows for plan in run.composition.of(spec.name)):
                models.append(RoundTrip(models[0], student))
            rows += _rows(models, items, spec.name == run.base, progress)
            if no_task:
                rows.append(_fidelity(models[:3], plan, spec.name == run.base, progress))
    result = Evaluation(
        data=tuple(data),
        rows=tuple(rows),
        base=tuple(_base_rows(run, on_device(student, device), plan, there, progress)),
        summary=summarize(rows),
        skipped=tuple(plan.skipped),
        seconds=round(time.monotonic() - began, 1),
    )
    result.save(run.path)
    return result


def _rows(
    models: list[Teacher], items: list[Item], base: bool, progress: Progress | None
) -> list[Row]:
    """The rows of one teacher; tasks on the same pictures share a pass.

    The models: the teacher, its untrained and its trained stand-in, perhaps its round trip.
    """
    groups: dict[tuple[Path, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(item.data.paths, []).append(item)
    rows: list[Row] = []
    for group in groups.values():
        name = f"{models[0].spec.name}: {', '.join(item.task for item in group)}"
        tick = partial(progress, name) if progress else None
        scores = measure(models, {item.task: item.data for item in group}, tick)
        rows += [
            _row(
                models,
                item.task,
                MEASURES[item.task].metric,
                str(item.source),
                scores[item.task],
                base,
            )
            for item in group
        ]
    return rows


def _row(models: list[Teacher], task: str, metric: str, data: str, score: Score, base: bool) -> Row:
    teacher, before, after, *bound = score.values
    return Row(
        teacher=models[0].spec.name,
        task=task,
        metric=metric,
        data=data,
        pictures=score.pictures,
        bad=score.bad,
        teacher_score=teacher,
        base_score=teacher if base else None,
        untrained_score=before,
        student_score=after,
        bound_score=bound[0] if bound else None,
        base=base,
        retention=retention(teacher, after),
        gain=gain(teacher, before, after),
    )


def _fidelity(models: list[Teacher], plan: Plan, base: bool, progress: Progress | None) -> Row:
    assert plan.pictures is not None  # a plan without pictures is refused
    tick = partial(progress, f"{models[0].spec.name}: {FIDELITY}") if progress else None
    source, data = plan.pictures
    score = measure_fidelity(models, data, tick)
    return _row(models, FIDELITY, FIDELITY_METRIC, str(source), score, base)


def _base_rows(
    run: Run, student: Encoder, plan: Plan, there: Callable[[Teacher], Teacher],
    progress: Progress | None,
) -> list[BaseRow]:  # fmt: skip
    """The base's own features beside the student's."""
    if run.base is None or not plan.knn:
        return []
    base, v = there(run.load_teacher(run.base)), run.composition.v_level
    x = run.composition.x_level or v
    rows: list[BaseRow] = []
    for source, data in plan.knn:
        ticks = [
            partial(progress, f"{m}: {KNN}") if progress else None for m in ("base", "student")
        ]
        kept, pictures = measure_kept(base, data, (x, v), ticks[0])
        own, _ = measure_kept(student, data, ("x", "V"), ticks[1])
        rows += [
            BaseRow(
                metric=metric,
                data=str(source),
                pictures=pictures,
                bad=len(data.paths) - pictures,
                base_score=kept[metric],
                student_score=own[metric],
            )
            for metric in kept
        ]
    return rows


def evaluate_teacher(teacher: Teacher, task: str, source: str, limit: int | None = None) -> float:
    """The score of one teacher, or of any stand-in, at one task.

    Args:
        teacher: Who is measured, on the CPU unless it is `on_device`.
        task: One that it solves, or `knn`.
        source: `[FORMAT:]PATH`.
        limit: At most so many pictures.

    Raises:
        DataError: If the source has nothing for the task, or its labels do not meet the teacher's.
    """
    data = load_data(parse_source(source), task, limit)
    if task == KNN:
        if not isinstance(data, ClassData):
            raise DataError(f"{source} has no classes")
        return measure_knn(teacher, data)[0]
    return measure([teacher], {task: data})[task].values[0]
