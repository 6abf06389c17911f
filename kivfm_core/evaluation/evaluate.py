"""Evaluates a run: the student beside its teachers, task by task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.sources import formats_of, load_data, parse_source
from kivfm_core.errors import DataError
from kivfm_core.evaluation.batches import Tick
from kivfm_core.evaluation.features.base_features import measure_features
from kivfm_core.evaluation.features.knn import measure_knn
from kivfm_core.evaluation.fidelity import measure_fidelity
from kivfm_core.evaluation.hold import hold_run
from kivfm_core.evaluation.measure import Score, measure
from kivfm_core.evaluation.result import (
    BaseRow,
    Evaluation,
    Row,
    at_chance,
    gain,
    retention,
    summarize,
)
from kivfm_core.evaluation.round_trip import RoundTrip
from kivfm_core.evaluation.store import find_place, identify_student
from kivfm_core.evaluation.worklist import Item, Worklist, list_work
from kivfm_core.progress import Progress, Silent, stage
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers
from kivfm_core.runs.run import Run, open_run
from kivfm_core.student.on_device import find_device, on_device
from kivfm_core.student.student import Student
from kivfm_core.tasks.table import FIDELITY, FIDELITY_METRIC, KNN
from kivfm_core.teacher import Encoder, Teacher

# Puts a model where it computes.
Move = Callable[[Teacher], Teacher]


def evaluate(
    run: str | Path | Run,
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
    out: str | Path | None = None,
) -> Evaluation:
    """Measures a run's student in every teacher's place, and writes `evaluation.json`.

    What the file holds of the same student stays: results are added by data, task, teacher and
    limit.

    For each teacher and task the same canvases go to the teacher, to its stand-in, and to its
    stand-in before distillation; where the shared latent is narrower than the teacher's levels,
    also to the teacher by way of it.

    Args:
        run: A run's folder, or the run.
        data: `SOURCE`, in which every task finds what it can, or `TASK=SOURCE`; a source is
            `[FORMAT:]PATH`.
        tasks: Only these.
        limit: At most so many images of each source.
        accelerator: Where encoders compute, as in `engine.accelerator`; a GPU if CUDA has one.
        progress: Where to report; nowhere by default.
        out: A file for this evaluation alone, in place of the run's.

    Returns:
        What was measured.

    Raises:
        UsageError: If a task is unknown, there is no such accelerator, or nothing can be written.
        DataError: If the data cannot be used.
        KivfmError: If the file cannot be written after all.
    """
    find_device(accelerator)
    run = open_run(run) if isinstance(run, str | Path) else run
    warn_of_changed_teachers(run)
    place = find_place(run.path, out)
    with hold_run(run.path, out):
        result = measure_run(
            run, data, tasks=tasks, limit=limit, accelerator=accelerator, progress=progress
        )
        place.write(result)
    return result


def measure_run(
    run: Run,
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Measures as `evaluate` does, and writes nothing."""
    began, report = time.monotonic(), progress or Silent()
    device = find_device(accelerator)

    def there(model: Teacher) -> Teacher:
        return on_device(model, device)

    work = list_work(run.teachers, data, tasks, limit)
    for note in work.notes:
        report.message(note)
    label_notes = len(work.notes)
    student, measured = run.load_student(), identify_student(run.path)
    rows = _teacher_rows(run, work, student, there, tasks is None, report)
    base = _base_rows(run, work, on_device(student, device), there, report)
    if not rows and not base:
        raise DataError(f"nothing could be measured: {'; '.join(work.skipped)}")
    for note in work.notes[label_notes:]:
        report.message(note)
    return Evaluation(
        data=tuple(data),
        rows=tuple(rows),
        base=tuple(base),
        summary=summarize(rows),
        skipped=tuple(work.skipped),
        seconds=round(time.monotonic() - began, 1),
        student=measured,
        notes=tuple(work.notes),
    )


def _teacher_rows(
    run: Run, work: Worklist, student: Student, there: Move, all_tasks: bool,
    progress: Progress,
) -> list[Row]:  # fmt: skip
    """Every teacher's rows; one that solves no task is measured by fidelity, if all tasks are."""
    untrained = run.load_student(untrained=True)
    rows: list[Row] = []
    for spec in run.teachers:
        items = work.teachers[spec.name]
        by_fidelity = not spec.tasks and all_tasks
        if not items and not by_fidelity:
            continue
        stand_ins = (s.stand_in(spec.name) for s in (untrained, student))
        models = [there(model) for model in (run.load_teacher(spec.name), *stand_ins)]
        narrows = any(plan.narrows for plan in run.composition.of(spec.name))
        round_trip = RoundTrip(models[0], student) if narrows else None
        comparison = _Comparison(models, round_trip, spec.name == run.base, work, progress)
        rows += comparison.measure_tasks(items)
        if by_fidelity:
            assert work.images is not None  # a worklist without images is refused
            rows.append(comparison.measure_fidelity(work.images))
    return rows


@dataclass(frozen=True)
class _Comparison:
    """A teacher and what stands in for it, measured side by side.

    Attributes:
        models: The teacher, its stand-in before distillation, and its stand-in after it.
        round_trip: The teacher by way of the shared latent, if that is narrower than its levels.
        is_base: Whether the teacher is the run's base.
        work: Where to note what cannot be measured, and what is strange in the labels.
        progress: Where to report.
    """

    models: list[Teacher]
    round_trip: RoundTrip | None
    is_base: bool
    work: Worklist
    progress: Progress

    def measure_tasks(self, items: list[Item]) -> list[Row]:
        """A row an item that has something to count; tasks on the same images share a pass."""
        groups: dict[tuple[Path, ...], list[Item]] = {}
        for item in items:
            groups.setdefault(item.data.paths, []).append(item)
        models = [*self.models, *([self.round_trip] if self.round_trip else [])]
        rows: list[Row] = []
        for group in groups.values():
            tick = self._tick(", ".join(item.task for item in group))
            empty: dict[str, DataError] = {}
            scores = measure(models, {item.task: item.data for item in group}, tick, empty)
            for item in group:
                if item.task in scores:
                    rows.append(self._row(item, scores[item.task]))
                else:
                    self._skip(item, empty[item.task])
        return rows

    def measure_fidelity(self, images: Item) -> Row:
        """The row of a teacher that solves no task."""
        score = measure_fidelity(self.models, images.data, self._tick(FIDELITY))
        return self._row(replace(images, task=FIDELITY, metric=FIDELITY_METRIC), score)

    def _skip(self, item: Item, error: DataError) -> None:
        name = self.models[0].spec.name
        self.work.skipped.append(f"{name}, {item.task}, {item.source}: {error.message}")

    def _tick(self, what: str) -> Tick:
        return stage(self.progress, f"{self.models[0].spec.name}: {what}")

    def _row(self, item: Item, score: Score) -> Row:
        teacher, before, after, *round_trip = score.values
        none = at_chance(teacher, score.chance)
        # Of a part of the images, what does not occur says nothing of the labels.
        for note in score.notes if item.limit is None else ():
            self.work.note(f"{item.source}: {note}")
        return Row(
            teacher=self.models[0].spec.name,
            task=item.task,
            metric=item.metric,
            data=str(item.source),
            limit=item.limit,
            pictures=score.images,
            bad=score.bad,
            objects=score.objects,
            teacher_score=teacher,
            base_score=teacher if self.is_base else None,
            untrained_score=before,
            student_score=after,
            bound_score=round_trip[0] if round_trip else None,
            base=self.is_base,
            chance_score=score.chance.score if score.chance else None,
            at_chance=none,
            retention=None if none else retention(teacher, after),
            gain=None if none else gain(teacher, before, after),
        )


def _base_rows(
    run: Run, work: Worklist, student: Encoder, there: Move, progress: Progress
) -> list[BaseRow]:
    """The base's own features beside the student's."""
    if run.base is None or not work.knn:
        return []
    base, v = there(run.load_teacher(run.base)), run.composition.v_level
    x = run.composition.x_level or v
    rows: list[BaseRow] = []
    for item in work.knn:
        data = item.data
        assert isinstance(data, ClassData)  # the worklist takes no other
        ticks = [stage(progress, f"{who}: {KNN.name}") for who in ("base", "student")]
        base_scores, images = measure_features(base, data, (x, v), ticks[0])
        student_scores, _ = measure_features(student, data, ("x", "V"), ticks[1])
        rows += [
            BaseRow(
                metric=metric,
                data=str(item.source),
                limit=item.limit,
                pictures=images,
                bad=len(data.paths) - images,
                chance_score=1 / len(set(data.targets)),
                base_score=base_scores[metric],
                student_score=student_scores[metric],
            )
            for metric in base_scores
        ]
    return rows


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
