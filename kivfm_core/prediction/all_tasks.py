"""Predicts every task that a model solves for an image, after as few passes as can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from kivfm_core.data.canvas import make_canvases
from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import UsageError
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.predict import read_image
from kivfm_core.prediction.prompts import (
    FLAGS,
    Box,
    Clicks,
    join,
    make_prompt,
    pointed,
    told,
)
from kivfm_core.prediction.result import Prediction, take_masks
from kivfm_core.prediction.solver import to_original
from kivfm_core.prediction.wanted import CONFIDENCE
from kivfm_core.predictions import Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.one_pass import Canvas, EncoderPass
from kivfm_core.teacher import Levels, Teacher

# In place of a task's name.
ALL = "all"


# Nine parameters, as the command has flags; most calls give two.
def predict_all(
    model: str | Path | Run | Model,
    image: str | Path | Image.Image,
    *,
    labels: Sequence[str] | None = None,
    points: Sequence[Clicks] | None = None,
    boxes: Sequence[Box | None] | None = None,
    threshold: float = CONFIDENCE,
    canvas: Canvas = None,
    out: str | Path | None = None,
    accelerator: str = "auto",
) -> list[Prediction]:
    """Solves every task that needs no prompt, or whose prompt is given, in one pass.

    Args:
        model: A run's folder, a bundle's, or a teacher's name; or one that is open.
        image: The image.
        labels: Class names, for tasks such as `zero-shot`.
        points: As `predict` takes them, for such as `promptable-segmentation`.
        boxes: As `predict` takes them.
        threshold: Objects of a lower score are left out.
        canvas: Short side in pixels of the canvas on which a student sees the image, once for all
            tasks; by default as fine as the finest of its teachers'. `own`: its teachers' canvases.
        out: A folder for drawings, `TASK.png` each, or `TASK-TEACHER.png` if several solve it.
        accelerator: Where the encoder computes, as in `engine.accelerator`.

    Returns:
        A result for each teacher and task, in the model's order.

    Raises:
        KivfmError: If the prompts do not fit, nothing is solved, or the image cannot be decoded.
    """
    opened, prompts = open_model(model, accelerator), join(points or (), boxes or ())
    tasks = _solvable(opened.specs, bool(labels), bool(prompts))
    pixels = read_image(image)
    given = told(labels, prompts, pixels.shape[1:])
    results = solve(opened, pixels, tasks, given, threshold=threshold, canvas=canvas)
    if out is not None:
        for found in results:
            assert found.drawing is not None
            found.drawing.save(Path(out) / _file(found.task, found.teacher, tasks))
    return results


class Solving(Protocol):
    """Whoever solves tasks after passes of an encoder, such as a `Model`."""

    def passes(self, teachers: Sequence[str], canvas: Canvas = None) -> Sequence[EncoderPass]:
        """The passes after which all tasks of these teachers can be decoded."""
        ...


def solve(
    who: Solving,
    pixels: Tensor,
    tasks: Mapping[str, Sequence[str]],
    given: Mapping[str, Any],
    threshold: float = CONFIDENCE,
    canvas: Canvas = None,
) -> list[Prediction]:
    """Solves tasks for one image.

    Args:
        who: Whose passes they are; of their solvers, those that have no task rest.
        pixels: The image, RGB uint8 `[3, H, W]`.
        tasks: By the teachers' full names.
        given: What `told` gives; every task has its prompt in it.
        threshold: Objects of a lower score are left out.
        canvas: As `predict_all` takes it.

    Returns:
        A result for each teacher and task, in their order.
    """
    drawn = _Drawn(pixels, given, threshold)
    results: dict[str, list[Prediction]] = {name: [] for name in tasks}
    for one in who.passes(list(tasks), canvas):
        every = one.encode(*make_canvases([pixels], one.input))
        for solver, levels in zip(one.solvers, every, strict=True):
            name = solver.spec.name
            for task, found in _decode(solver, tasks.get(name, ()), levels, given):
                results[name].append(drawn.result(solver.spec, task, found))
    return [result for name in tasks for result in results[name]]


@dataclass(frozen=True)
class _Drawn:
    """An image that results are drawn on, and what was given for it."""

    pixels: Tensor
    given: Mapping[str, Any]
    threshold: float

    def result(self, spec: TeacherSpec, task: str, found: Any) -> Prediction:
        """What was found for a task, as rows, and drawn."""
        record, drawing = find_task(task), Drawing(self.pixels, self.threshold)
        space = label_names(spec.task(task).labels)
        names = self.given["labels"] if record.classes == "prompt" else space
        points = pointed(record, self.given)
        rows = resolve_reference(record.draw)(drawing, found, names, points)
        height, width = self.pixels.shape[1:]
        about = task, spec.name, width, height, record.kind
        return Prediction(*about, rows, names, take_masks(rows), drawing)


def _decode(
    solver: Teacher, tasks: Sequence[str], levels: Levels, given: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """What is found for each task; tasks of one decoder, as Mask R-CNN's two, share its run."""
    known: dict[Any, Predictions] = {}
    for task in tasks:
        spec = solver.spec.task(task)
        key = (spec.part, spec.levels)
        prompt = make_prompt(solver, find_task(task), levels.frames, given)
        predictions = known.get(key) if prompt is None else None
        if predictions is None:
            predictions = solver.decode(task, levels, prompt)
        if prompt is None:
            known[key] = predictions
        yield task, to_original(find_task(task), predictions, levels.frames)[0]


def _solvable(specs: Sequence[TeacherSpec], named: bool, pointed_at: bool) -> dict[str, list[str]]:
    """By teacher, the tasks whose prompts are given: class names, or clicks and boxes."""
    known = {"labels": named, "points": pointed_at, "prompts": pointed_at}
    tasks: dict[str, list[str]] = {}
    taken: set[str] = set()
    for spec in specs:
        for solved in spec.tasks:
            prompt = find_task(solved.task).prompt
            flags = prompt.flags if prompt else ()
            if all(known[flag] for flag in flags):
                tasks.setdefault(spec.name, []).append(solved.task)
                taken |= set(flags)
    for flag, given in (("labels", named), ("points", pointed_at)):
        if given and not taken & ({"labels"} if flag == "labels" else {"points", "prompts"}):
            raise UsageError(f"no task here takes {flag}", f"leave out --{flag}")
    if not tasks:
        raise UsageError(
            "there is no task that needs no prompt",
            " or ".join(example for _, example in FLAGS.values()),
        )
    return tasks


def _file(task: str, teacher: str, tasks: dict[str, list[str]]) -> str:
    """A drawing's file name; the teacher's is in it where several solve the task."""
    several = sum(task in solved for solved in tasks.values()) > 1
    return f"{task}-{teacher.replace('/', '-')}.png" if several else f"{task}.png"
