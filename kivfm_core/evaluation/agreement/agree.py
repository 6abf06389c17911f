"""Measures how far a student agrees with its teachers, on images without labels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.data.batches import batches
from kivfm_core.data.label_spaces import label_names
from kivfm_core.data.remote.url import locate
from kivfm_core.data.sources import Source
from kivfm_core.data.unlabeled import find_images
from kivfm_core.errors import DataError, UsageError, did_you_mean
from kivfm_core.evaluation.agreement.own_labels import OwnImages
from kivfm_core.evaluation.agreement.truths import TRUTHS, Truth
from kivfm_core.evaluation.bootstrap import DRAWS, SEED
from kivfm_core.evaluation.comparison import Comparison
from kivfm_core.evaluation.hold import hold_run
from kivfm_core.evaluation.measure import update_meters
from kivfm_core.evaluation.result import Evaluation, Row, summarize
from kivfm_core.evaluation.store import find_place
from kivfm_core.evaluation.together import measure_tasks
from kivfm_core.evaluation.worklist import Item, Worklist
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.progress import Progress, reporter
from kivfm_core.registry.heads import is_head
from kivfm_core.registry.registry import find_task, get_tasks
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers
from kivfm_core.runs.run import Run


@dataclass(frozen=True)
class Wanted:
    """What is to be measured.

    Attributes:
        tasks: Only these; all by default.
        limit: At most so many images of each source.
        labels: The classes of zero-shot.
    """

    tasks: Sequence[str] | None = None
    limit: int | None = None
    labels: tuple[str, ...] = ()


# Eight parameters, as those of `evaluate`; most calls give two.
def evaluate_agreement(
    model: str | Path | Run | Model,
    data: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    limit: int | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
    out: str | Path | None = None,
) -> Evaluation:
    """Measures how far a student agrees with its teachers, into a run's `evaluation.json`.

    Args:
        model: A run's folder, a bundle's, or what is open already.
        data: Folders of images, or tars of them, here or at URLs; labels there are not read.
        tasks: Only these.
        labels: The classes among which zero-shot chooses.
        limit: At most so many images of each folder.
        accelerator: Where encoders compute, as in `engine.accelerator`.
        progress: Where to report; by default in a notebook, and nowhere else.
        out: A file for this evaluation alone, in place of the run's.

    Returns:
        What was measured; its rows have `agreement` set.

    Raises:
        UsageError: If it is a teacher, a task is unknown, labels are needed, or nothing can be
            written.
        DataError: If there are no images, or nothing can be measured.
    """
    opened = open_model(model, accelerator)
    warn_of_changed_teachers(opened.run)
    place = find_place(opened, out)
    with hold_run(opened.run, out):
        wanted = Wanted(tasks, limit, tuple(labels))
        result = measure_agreement(opened, data, wanted, progress)
        if place is not None:
            place.write(result)
    return result


def measure_agreement(
    model: Model, data: Sequence[str], wanted: Wanted, progress: Progress | None = None
) -> Evaluation:
    """Scores a student in every teacher's place by what the teacher itself predicts.

    Each teacher runs twice: once for its predictions, and once as one that is scored. It scores 1
    by its own, but for boxes and masks of no area.

    Args:
        model: A run or a bundle, whose teachers' weights are here.
        data: Folders of images, or tars of them; nothing is read but the images.
        wanted: What to measure.
        progress: Where to report; by default in a notebook, and nowhere else.

    Raises:
        UsageError: If the model is a teacher, a task is unknown, or labels are needed.
        DataError: If there are no images, or nothing can be measured.
    """
    began, report = time.monotonic(), reporter(progress)
    _check(model, wanted)
    work, rows = Worklist(), list[Row]()
    places = [_whole(text, wanted.limit) for text in data]
    for spec in model.specs:
        rivals = model.rivals(spec.name)
        if "teacher" not in rivals:
            continue
        compared = Comparison(rivals, spec.name == model.base, work, report)
        for whole in places:
            if spec.tasks:
                rows += measure_tasks([(compared, _items(whole, wanted, compared))])[0]
            elif wanted.tasks is None:
                rows.append(compared.measure_fidelity(whole))
    skipped = (*work.skipped, *_left_out(model, wanted))
    if not rows:
        nobody = f"no teacher here solves {', '.join(wanted.tasks or ())}"
        raise DataError(f"nothing could be measured: {'; '.join(skipped) or nobody}")
    return Evaluation(
        data=tuple(data),
        rows=tuple(rows),
        base=(),
        summary=summarize(rows),
        skipped=skipped,
        seconds=round(time.monotonic() - began, 1),
        student=model.identity,
        notes=tuple(work.notes),
        draws=DRAWS,
        seed=SEED,
    )


def _check(model: Model, wanted: Wanted) -> None:
    known = get_tasks()
    for task in wanted.tasks or ():
        if task not in known:
            hint = did_you_mean(task, known, f"tasks: {', '.join(known)}")
            raise UsageError(f"unknown task {task!r}", hint)
    if model.identity == "":
        raise UsageError(
            f"{model.name} is a teacher: its predictions are the truth here",
            "give a run, or a bundle beside its teachers' weights",
        )
    if wanted.tasks and "zero-shot" in wanted.tasks and not wanted.labels:
        raise UsageError("zero-shot chooses among labels, and none are given", "--labels A,B")


def _whole(text: str, limit: int | None) -> Item:
    """The images of a source, at most so many, as paths that may lead into a tar."""
    place = locate(text)
    images = find_images(place.expanduser())
    every = OwnImages(tuple(images.folder / name for name in images))
    taken = every.take(limit)
    cut = limit if len(taken.paths) < len(every.paths) else None
    return Item("", "", Source(place), taken, cut)


def _left_out(model: Model, wanted: Wanted) -> Iterator[str]:
    """What has no teacher here to agree with, and why."""
    for spec in model.specs:
        solves = wanted.tasks is None or any(task.task in wanted.tasks for task in spec.tasks)
        if is_head(spec) and solves:
            yield f"{spec.name}: it is a head, with no teacher to agree with"
    yield from (f"{name} itself: {why}" for name, why in model.absent.items())


def _items(whole: Item, wanted: Wanted, compared: Comparison) -> list[Item]:
    """What is measured of a teacher, by its own predictions on a source."""
    teacher = compared.rivals["teacher"]
    truths: dict[str, Truth] = {}
    for task in (task.task for task in teacher.spec.tasks):
        if wanted.tasks is not None and task not in wanted.tasks:
            continue
        if why := _missing(task, wanted):
            compared.work.skipped.append(f"{teacher.spec.name}, {task}: {why}")
        else:
            classes = label_names(teacher.spec.task(task).labels)
            truths[task] = TRUTHS[task](whole.data.paths, classes, wanted.labels)
    if truths:
        tick = compared.tick(f"{', '.join(truths)}: its own predictions")
        for batch in batches(whole.data.paths, teacher.spec.input, tick):
            update_meters(teacher, truths, batch)
    return [
        Item(
            task,
            f"agreement {measure.metric or find_task(task).metric}",
            whole.source,
            measure.data,
            whole.limit,
            agreement=True,
            meter=measure.meter,
        )
        for task, truth in truths.items()
        for measure in truth.measures()
    ]


def _missing(task: str, wanted: Wanted) -> str:
    """Why there is no truth of a task; empty if there is."""
    if task not in TRUTHS:
        return "no agreement is defined for it"
    needs = task == "zero-shot" and not wanted.labels
    return "it chooses among labels, and none are given (--labels A,B)" if needs else ""
