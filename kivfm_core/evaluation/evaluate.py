"""Evaluates a model: a student beside its teachers, task by task, or a teacher alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.sources import formats_of, load_data, parse_source
from kivfm_core.errors import DataError, UsageError, out_of_memory_said
from kivfm_core.evaluation.bootstrap import DRAWS, SEED
from kivfm_core.evaluation.comparison import Comparison
from kivfm_core.evaluation.features.knn import measure_knn
from kivfm_core.evaluation.features.own_features import own_rows
from kivfm_core.evaluation.hold import hold_run
from kivfm_core.evaluation.measure import canvas_kind, measure
from kivfm_core.evaluation.result import Evaluation, Row, summarize
from kivfm_core.evaluation.store import find_place
from kivfm_core.evaluation.together import measure_tasks
from kivfm_core.evaluation.worklist import Worklist, list_work
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Progress, reporter
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.table import KNN
from kivfm_core.teacher import Teacher

# The canvas that all stand-ins share: its short side in pixels, or `auto`: as fine as the finest
# of their own. None: this is not measured.
SharedCanvas = int | Literal["auto"] | None


@out_of_memory_said()
# Eight parameters, as the command has flags; most calls give two.
def evaluate(
    model: str | Path | Run | Model,
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
    out: str | Path | None = None,
    shared_canvas: SharedCanvas = None,
) -> Evaluation:
    """Measures a model; a run's student in every teacher's place, into `evaluation.json`.

    What the file holds of the same student stays: results are added by data, task, teacher and
    limit. Of a bundle or a teacher nothing is written, unless `out` says where.

    For each teacher and task the same canvases go to the teacher, to its stand-in, and to its
    stand-in before distillation; where the shared latent is narrower than the teacher's levels,
    also to the teacher by way of it. A bundle does not have the student before distillation, and
    its teachers only where their weights are on this machine. A teacher is measured alone.

    Args:
        model: A run's folder, a bundle's, a teacher's name, or what is open already.
        data: `SOURCE`, in which every task finds what it can, or `TASK=SOURCE`; a source is
            `[FORMAT:]PATH`.
        tasks: Only these.
        limit: At most so many images of each source.
        accelerator: Where encoders compute; an open model computes where it was opened.
        progress: Where to report; by default in a notebook, and nowhere else.
        out: A file for this evaluation alone, in place of the run's.
        shared_canvas: Also measures the student on one canvas for all tasks, see `SharedCanvas`.

    Returns:
        What was measured.

    Raises:
        UsageError: If model, task or accelerator are unknown, or nothing can be written.
        DataError: If the data cannot be used.
        KivfmError: If the file cannot be written after all.
    """
    opened = open_model(model, accelerator)
    warn_of_changed_teachers(opened.run)
    place = find_place(opened, out)
    with hold_run(opened.run, out):
        result = measure_model(
            opened, data, tasks=tasks, limit=limit, progress=progress, shared_canvas=shared_canvas
        )
        if place is not None:
            place.write(result)
    return result


def measure_model(
    model: Model,
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    shared_canvas: SharedCanvas = None,
    team: Team = ONE_PROCESS,
) -> Evaluation:
    """Measures as `evaluate` does, and writes nothing.

    Several processes share the images of the tasks; all call this, and get all scores.
    """
    began, report = time.monotonic(), reporter(progress)
    work = list_work(model.specs, data, tasks, limit)
    for note in work.notes:
        report.message(note)
    label_notes, measured = len(work.notes), model.identity
    rows = _rows(model, work, tasks is None, report, shared_canvas, team)
    features = own_rows(model, work.knn, report)
    if not rows and not features:
        raise DataError(f"nothing could be measured: {'; '.join(work.skipped)}")
    for note in work.notes[label_notes:]:
        report.message(note)
    alone = (f"{name} itself: {why}" for name, why in model.absent.items())
    return Evaluation(
        data=tuple(data),
        rows=tuple(rows),
        base=tuple(features),
        summary=summarize(rows),
        skipped=(*work.skipped, *alone),
        seconds=round(time.monotonic() - began, 1),
        student=measured,
        notes=tuple(work.notes),
        draws=DRAWS,
        seed=SEED,
    )


def _rows(
    model: Model,
    work: Worklist,
    all_tasks: bool,
    progress: Progress,
    shared: SharedCanvas,
    team: Team,
) -> list[Row]:
    """Every teacher's rows; one that solves no task is measured by fidelity, if all tasks are."""
    # Teachers whose canvases are equal are in memory, and measured, together.
    groups: dict[str, list[TeacherSpec]] = {}
    for spec in model.specs:
        if work.teachers[spec.name]:
            groups.setdefault(canvas_kind(spec.input), []).append(spec)
        elif not spec.tasks and all_tasks:
            groups[spec.name] = [spec]
    rows: dict[str, list[Row]] = {}
    for group in groups.values():
        compared = [
            replace(_compare(model, spec, work, progress, shared), team=team) for spec in group
        ]
        items = [work.teachers[spec.name] for spec in group]
        found = measure_tasks([*zip(compared, items, strict=True)])
        rows |= {spec.name: own for spec, own in zip(group, found, strict=True)}
        rivals = compared[0].rivals
        if not items[0] and "teacher" in rivals and "student" in rivals:
            assert work.images is not None  # a worklist without images is refused
            rows[group[0].name].append(compared[0].measure_fidelity(work.images))
    return [row for spec in model.specs for row in rows.get(spec.name, ())]


def _compare(
    model: Model, spec: TeacherSpec, work: Worklist, progress: Progress, shared: SharedCanvas
) -> Comparison:
    """All that is measured at a teacher's tasks."""
    one = model.shared(spec.name, None if shared == "auto" else shared) if shared else None
    if shared and one is None:
        raise UsageError(
            f"{model.name} has no canvas to share: it is a teacher", "leave out --shared-canvas"
        )
    return Comparison(model.rivals(spec.name), spec.name == model.base, work, progress, one)


def evaluate_teacher(teacher: Teacher, task: str, source: str, limit: int | None = None) -> float:
    """The score of one teacher, or of any stand-in, at one task.

    Args:
        teacher: The model, on the CPU unless it is `on_device`.
        task: One that it solves, or `knn`.
        source: `[FORMAT:]PATH`.
        limit: At most so many images.

    Raises:
        DataError: If the source has nothing for the task, or its labels do not meet the teacher's.
    """
    measured = KNN if task == KNN.name else find_task(task)
    formats = [kind.name for kind in formats_of(measured)]
    data = load_data(parse_source(source, formats), measured, limit)
    if measured is KNN:
        if not isinstance(data, ClassData):
            raise DataError(f"{source} has no classes")
        return measure_knn(teacher, data)[0]
    return measure([teacher], {task: data})[task].values[0]
