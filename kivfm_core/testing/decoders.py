"""The check of decoders: the form of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import one_line
from kivfm_core.predictions import (
    ClassLogits,
    Detections,
    Instances,
    Masks,
    Predictions,
    SemanticLogits,
)
from kivfm_core.spec import Task, TaskSpec
from kivfm_core.teacher import Levels
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject
from kivfm_core.weights.tokenizer import locate_tokenizer

ANSWERS: Mapping[Task, type[Any]] = {
    "classification": ClassLogits,
    "zero-shot": ClassLogits,
    "detection": Detections,
    "instance-segmentation": Instances,
    "semantic-segmentation": SemanticLogits,
    "promptable-segmentation": Masks,
}
NAMES = ("a cat", "a dog", "a house")


def raw_prompts(side: int, count: int) -> dict[str, dict[str, Any]]:
    """What `prompt(task, **raw)` is given: class names, and a click on every picture."""
    clicks = [torch.tensor([[0.3 * side, 0.6 * side]])] * count
    return {"zero-shot": {"labels": list(NAMES)}, "promptable-segmentation": {"points": clicks}}


def tasks_of(subject: Subject) -> tuple[TaskSpec, ...]:
    """What the teacher solves, for a check that needs a task."""
    if not subject.spec.tasks:
        raise NotChecked("it solves no task")
    all_prompted(subject)
    return subject.spec.tasks


def all_prompted(subject: Subject) -> None:
    """Says which decoders cannot be checked, for want of their prompts' tokenizer."""
    for task in subject.spec.tasks:
        if not _has_tokenizer(task):
            fetch = f"kivfm teachers fetch {subject.spec.name}"
            raise NotChecked(f"{task.task} has no tokenizer: {task.tokenizer} is not here", fetch)


def _has_tokenizer(task: TaskSpec) -> bool:
    return task.tokenizer is None or locate_tokenizer(task.tokenizer) is not None


def decoders(subject: Subject) -> None:
    """Every task's decoder answers with its kind of prediction, a picture each."""
    tasks, levels = tasks_of(subject), subject.levels()
    prompts = raw_prompts(subject.sides[0], len(levels.frames))
    for task in tasks:
        try:
            prompt = subject.teacher.prompt(task.task, **prompts.get(task.task, {}))
            found = subject.teacher.decode(task.task, levels, prompt)
            answers = found.to_original(levels.frames)
        except Exception as error:
            raise Finding(
                f"the decoder of {task.task} raises {one_line(error)}",
                "its forward(levels, prompt) gets the levels that the task declares, no others",
            ) from error
        _has_form(task, found, len(answers), len(levels.frames))


def values(subject: Subject, levels: Levels) -> dict[str, list[Tensor]]:
    """By task, what every picture's prediction is made of: logits, or detections' scores, sorted.

    Without tasks whose decoder raises or answers with something else: `decoders` tells of them. And
    without those whose tokenizer is not here, and would be fetched: `all_prompted` does.
    """
    found: dict[str, list[Tensor]] = {}
    prompts = raw_prompts(subject.sides[0], len(levels.frames))
    for task in (task.task for task in filter(_has_tokenizer, subject.spec.tasks)):
        try:
            prompt = subject.teacher.prompt(task, **prompts.get(task, {}))
            said = subject.teacher.decode(task, levels, prompt)
            if isinstance(said, Detections):
                found[task] = [scores.sort(descending=True).values for scores in said.scores]
            else:
                found[task] = list(said.logits)
        except Exception:  # whatever a plugin's code raises
            continue
    return found


def _has_form(task: TaskSpec, found: Predictions, answers: int, pictures: int) -> None:
    wanted = ANSWERS[task.task]
    if not isinstance(found, wanted) or answers != pictures:
        raise Finding(
            f"{task.task} is answered with {answers} of {type(found).__name__} "
            f"for {pictures} pictures",
            f"return kivfm_core.predictions.{wanted.__name__}, a picture each",
        )
    known = NAMES if task.labels == "open" else label_names(task.labels)
    if known is None:
        return
    if isinstance(found, ClassLogits | SemanticLogits):
        fits = found.logits.shape[1] == len(known)
    else:
        fits = not isinstance(found, Detections) or all(
            int(labels.max()) < len(known) for labels in found.labels if len(labels)
        )
    if not fits:
        raise Finding(
            f"{task.task} is answered with another number of classes than the {len(known)} "
            "of its label space",
            "correct the task's labels, or what the decoder returns",
        )
