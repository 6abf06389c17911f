"""Predicts one image with a model: a student in the role of a teacher, or a teacher."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import UsageError, printable
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.result import Prediction, take_masks
from kivfm_core.prediction.solver import Solver
from kivfm_core.prediction.wanted import CONFIDENCE, TOP, Wanted
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Teacher

Point = tuple[float, float]

# What a prompt's flag stands for, and an example of it.
FLAGS = {
    "labels": ("class names", '--labels "a cat,a dog"'),
    "points": ("a click", "--points x,y"),
}


# Twelve parameters, as the command has flags; most calls give three.
def predict(
    model: str | Path | Run | Model | Teacher,
    image: str | Path | Image.Image,
    task: str,
    *,
    teacher: str | None = None,
    labels: Sequence[str] | None = None,
    points: Sequence[Point] | None = None,
    threshold: float = CONFIDENCE,
    classes: Sequence[str] | None = None,
    top: int = TOP,
    suppress: float | None = None,
    out: str | Path | None = None,
    accelerator: str = "auto",
) -> Prediction:
    """Solves a task for an image, in its original pixels.

    Args:
        model: A run, a bundle's folder, or a teacher's name; or what these open as.
        image: What to look at.
        task: What to solve.
        teacher: Which of a student's teachers to stand in for, where several solve the task.
        labels: Class names, for tasks such as `zero-shot`.
        points: Clicks `(x, y)` in the image's pixels, for such as `promptable-segmentation`.
        threshold: Objects of a lower score are left out.
        classes: Only these of the model's classes are kept.
        top: Of the classes of an image, so many are listed.
        suppress: Of objects whose boxes overlap by more than this share (IoU), only the best is
            kept, whatever their classes. By default this is so in the drawing alone.
        out: A file for the image with the result drawn on it.
        accelerator: Where the encoder computes, as in `engine.accelerator`.

    Raises:
        UsageError: If the arguments do not fit each other; the message says why.
        DataError: If the image cannot be decoded.
    """
    wanted = Wanted(threshold, tuple(classes) if classes else None, top, suppress)
    solver = ask(model, task, teacher, {"labels": labels, "points": points}, wanted, accelerator)
    _check_out(image, out)
    pixels = _read(image)
    _check_points(points or (), pixels)
    canvases, frames = make_canvases([pixels], solver.spec.input)
    found = solver.solve(canvases, frames).to_original(frames)[0]
    clicks = torch.tensor(points or []).reshape(-1, 2)
    drawing = Drawing(pixels, wanted=wanted)
    rows = resolve_reference(solver.record.draw)(drawing, found, solver.names, clicks)
    if out is not None:
        drawing.save(Path(out))
    about = task, solver.spec.name, pixels.shape[2], pixels.shape[1], solver.record.kind
    return Prediction(*about, rows, solver.names, take_masks(rows), drawing)


def ask(
    model: str | Path | Run | Model | Teacher,
    task: str,
    teacher: str | None,
    given: Mapping[str, Any],
    wanted: Wanted,
    accelerator: str,
) -> Solver:
    """Finds who solves a task, and checks the arguments, before anything that takes long.

    Args:
        model: As `predict` takes it.
        task: What to solve.
        teacher: Which of a student's teachers to stand in for.
        given: What the task has to be told, by flag.
        wanted: What of the predictions is kept.
        accelerator: Where the encoder computes.

    Raises:
        UsageError: If the arguments do not fit each other.
    """
    opened = model if isinstance(model, Teacher) else open_model(model, accelerator)
    specs = [opened.spec] if isinstance(opened, Teacher) else opened.specs
    spec, record = choose(specs, task, teacher), find_task(task)
    check_given(record, given)
    names = given["labels"] or label_names(spec.task(task).labels)
    wanted.indices(names)
    return Solver(opened, spec, record, given, names, wanted)


def _read(image: str | Path | Image.Image) -> Tensor:
    """An image as RGB uint8 `[3, H, W]`, upright."""
    opened = open_image(Path(image)) if isinstance(image, str | Path) else image
    return to_tensor(ImageOps.exif_transpose(opened))


def choose(specs: Sequence[TeacherSpec], task: str, name: str | None) -> TeacherSpec:
    """The teacher that solves a task.

    Raises:
        UsageError: If none or several do, naming the choices.
    """
    solving = [spec for spec in specs if task in {solved.task for solved in spec.tasks}]
    if name is not None:
        named = [spec for spec in specs if name in (spec.name, spec.family, *spec.aliases)]
        if not named:
            names = ", ".join(spec.name for spec in specs)
            raise UsageError(f"the run has no teacher {name!r}", f"--teacher one of: {names}")
        solving = [spec for spec in solving if spec in named]
    if not solving:
        can = "; ".join(
            f"{spec.name}: {', '.join(solved.task for solved in spec.tasks) or 'no task'}"
            for spec in specs
        )
        name = name or (specs[0].name if len(specs) == 1 else None)
        who = f"{name} does not solve" if name else "no teacher of the run solves"
        raise UsageError(f"{who} {task}", can)
    if len(solving) > 1:
        names = ", ".join(spec.name for spec in solving)
        raise UsageError(f"several teachers solve {task}", f"--teacher one of: {names}")
    return solving[0]


def check_given(record: TaskRecord, given: Mapping[str, Any]) -> None:
    """Refuses a prompt that lacks something, and one that the task does not take."""
    takes = record.prompt.flags if record.prompt else ()
    for flag in FLAGS:
        if given[flag] and flag not in takes:
            own = flag == "labels" and record.classes == "teacher"
            why = ": its classes are the teacher's" if own else ""
            raise UsageError(f"{record.name} takes no {flag}{why}", f"leave --{flag} away")
    for flag in takes:
        if not given[flag]:
            what, hint = FLAGS[flag]
            raise UsageError(f"{record.name} needs {what}", hint)


def _check_points(points: Sequence[Point], pixels: Tensor) -> None:
    """Refuses clicks beside an image `[3, H, W]`, or nowhere."""
    height, width = pixels.shape[1:]
    for x, y in points:
        if not (0 <= x < width and 0 <= y < height):
            raise UsageError(
                f"the point {x:g},{y:g} is outside the image",
                f"x is at least 0 and less than {width}, y less than {height}",
            )


def _check_out(image: str | Path | Image.Image, out: str | Path | None) -> None:
    """Refuses to draw over the image that is looked at, by whatever name."""
    if out is None or isinstance(image, Image.Image):
        return
    drawn, original = Path(out), Path(image)
    if drawn.exists() and original.exists() and drawn.samefile(original):
        raise UsageError(
            f"{printable(drawn)} is the image itself, and would be overwritten",
            f"-o {shlex.quote(str(drawn.with_name(f'{drawn.stem}-result.png')))}",
        )
