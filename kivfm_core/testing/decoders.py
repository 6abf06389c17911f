"""The check of decoders: the form of their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor

from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import one_line
from kivfm_core.geometry import Click, Frame, MaskPrompt
from kivfm_core.predictions import Detections, Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task, get_tasks
from kivfm_core.spec import TaskSpec, TeacherSpec
from kivfm_core.teacher import Levels
from kivfm_core.testing.boxes import boxes_fit, louder
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.prompts import prompts_fit
from kivfm_core.testing.subject import Subject
from kivfm_core.weights.tokenizer import locate_tokenizer

NAMES = ("a cat", "a dog", "a house")


def raw_prompts(tasks: Sequence[TaskSpec], frames: Sequence[Frame]) -> dict[str, dict[str, Any]]:
    """What the decoders' `prompt(**raw)` is given, by task: class names, a click on every image."""
    height, width = frames[0].canvas
    # All of the kit's images have one frame, so that a click on one is a click on each.
    x, y = frames[0].to_original(0.3 * width, 0.6 * height)
    given = {"labels": NAMES, "points": [(x, y)], "prompts": [MaskPrompt((Click(x, y),))]}
    prompts = {task.task: find_task(task.task).prompt for task in tasks}
    return {
        task: resolve_reference(prompt.build)(given, frames) if prompt else {}
        for task, prompt in prompts.items()
    }


def tasks_of(subject: Subject) -> tuple[TaskSpec, ...]:
    """The tasks that the teacher solves.

    Raises:
        NotChecked: If there are none, or one needs a tokenizer that is not here.
    """
    if not subject.spec.tasks:
        raise NotChecked("it solves no task")
    all_prompted(subject)
    return subject.spec.tasks


def all_prompted(subject: Subject) -> None:
    """Raises `NotChecked` if a task is unknown, or the tokenizer of its prompts is not here."""
    for task in subject.spec.tasks:
        if not _is_known(task):
            raise NotChecked(f"the task {task.task} is unknown")
        if not _has_tokenizer(task):
            fetch = f"kivfm teachers fetch {subject.spec.name}"
            raise NotChecked(f"{task.task} has no tokenizer: {task.tokenizer} is not here", fetch)


def _is_known(task: TaskSpec) -> bool:
    return task.task in get_tasks()


def _has_tokenizer(task: TaskSpec) -> bool:
    return task.tokenizer is None or locate_tokenizer(task.tokenizer) is not None


def decoders(subject: Subject) -> None:
    """Every task's decoder returns its kind of prediction, for each image."""
    tasks, levels = tasks_of(subject), subject.levels()
    prompts = raw_prompts(tasks, levels.frames)
    for task in tasks:
        try:
            prompt = subject.teacher.prompt(task.task, **prompts[task.task])
            found = subject.teacher.decode(task.task, levels, prompt)
            items = found.to_original(levels.frames)
        except Exception as error:
            raise Finding(
                f"the decoder of {task.task} raises {one_line(error)}",
                _repair(subject.spec, task, error),
            ) from error
        _has_form(task, found, len(items), len(levels.frames))
        prompts_fit(find_task(task.task), subject.teacher, levels)
        if isinstance(found, Detections):
            boxes_fit(task.task, found.boxes, levels.canvas)
            for noise in louder(levels):
                with suppress(Exception):  # noise is nothing that a decoder must take
                    found = subject.teacher.decode(task.task, noise, prompt)
                _has_classes(task, found)


def values(subject: Subject, levels: Levels) -> dict[str, list[Tensor]]:
    """By task, the numbers of every image's prediction, such as logits.

    Tasks whose decoder raises or returns something else are left out: the check `decoders` reports
    them. So are tasks whose tokenizer is not here, since nothing is fetched, and unknown ones:
    `all_prompted` reports those.
    """
    found: dict[str, list[Tensor]] = {}
    tasks = [t for t in subject.spec.tasks if _is_known(t) and _has_tokenizer(t)]
    prompts = raw_prompts(tasks, levels.frames)
    for task in prompts:
        try:
            prompt = subject.teacher.prompt(task, **prompts[task])
            found[task] = subject.teacher.decode(task, levels, prompt).numbers()
        except Exception:  # whatever a plugin's code raises
            continue
    return found


def _repair(spec: TeacherSpec, task: TaskSpec, error: Exception) -> str:
    """What repairs a decoder that raises."""
    name = error.args[0] if isinstance(error, KeyError) and error.args else None
    if name in {level.name for level in spec.levels} - {*task.levels}:
        return f"add {name!r} to the task's levels: a decoder gets those that it declares, no more"
    return f"repair {task.decoder}; what decoders get and return: docs/reference/decoders.md"


def _has_form(task: TaskSpec, found: Predictions, items: int, images: int) -> None:
    record = find_task(task.task)
    wanted: type[Any] = resolve_reference(record.prediction)
    if not isinstance(found, wanted) or items != images:
        raise Finding(
            f"{task.task} gives {items} of {type(found).__name__} for {images} images",
            f"return {record.prediction.replace(':', '.')}, an item an image",
        )
    _has_classes(task, found)


def _has_classes(task: TaskSpec, found: Predictions) -> None:
    record = find_task(task.task)
    if record.check is None:
        return
    classes = NAMES if record.classes == "prompt" else label_names(task.labels)
    wrong = resolve_reference(record.check)(found, None if classes is None else len(classes))
    if wrong:
        fix = "correct the task's labels, or what the decoder returns: docs/reference/decoders.md"
        raise Finding(f"the decoder of {task.task}: {wrong}", fix)
