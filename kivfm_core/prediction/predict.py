"""Predicts one image with a run's student, or with any teacher."""

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
from kivfm_core.geometry import Frame
from kivfm_core.prediction.draw import CONFIDENCE, Drawing
from kivfm_core.prediction.result import Prediction
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.run import Run, open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.on_device import find_device, on_device
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Teacher

Point = tuple[float, float]

# What a prompt's flag stands for, and an example of it.
FLAGS = {
    "labels": ("class names", '--labels "a cat,a dog"'),
    "points": ("a click", "--points x,y"),
}


# Nine parameters, as the command has flags; most calls give three.
def predict(
    run: str | Path | Run | Teacher,
    image: str | Path | Image.Image,
    task: str,
    *,
    teacher: str | None = None,
    labels: Sequence[str] | None = None,
    points: Sequence[Point] | None = None,
    threshold: float = CONFIDENCE,
    out: str | Path | None = None,
    accelerator: str = "auto",
) -> Prediction:
    """Solves a task for an image, in its original pixels.

    Args:
        run: A run's folder, a run (its student stands in for the teacher that solves the task), or
            a teacher.
        image: The image.
        task: What to solve.
        teacher: Which of the run's teachers to stand in for, where several solve the task.
        labels: Class names, for tasks such as `zero-shot`.
        points: Clicks `(x, y)` in the image's pixels, for such as `promptable-segmentation`.
        threshold: Objects of a lower score are left out.
        out: A file for the image with the result drawn on it.
        accelerator: Where a run's student computes, as in `engine.accelerator`; a GPU if CUDA has
            one. A teacher that is given stays where it is.

    Raises:
        UsageError: If no teacher solves the task or several do, labels or points do not fit it,
            `out` is the image's own file, or there is no such accelerator.
        DataError: If the image cannot be decoded.
    """
    device = find_device(accelerator)
    run = open_run(run) if isinstance(run, str | Path) else run
    specs = [run.spec] if isinstance(run, Teacher) else run.teachers
    name = choose(specs, task, teacher).name
    record, given = find_task(task), {"labels": labels, "points": points}
    _check(record, given)
    _check_out(image, out)
    pixels = read_image(image)
    check_points(points or (), pixels)
    model = run if isinstance(run, Teacher) else _stand_in(run, name, device)
    found = _solve(model, record, pixels, given)
    drawing = Drawing(pixels, threshold)
    names = labels or label_names(model.spec.task(task).labels)
    clicks = torch.tensor(points or []).reshape(-1, 2)
    rows = resolve_reference(record.draw)(drawing, found, names, clicks)
    if out is not None:
        drawing.save(Path(out))
    return Prediction(task, name, pixels.shape[2], pixels.shape[1], record.kind, rows)


def _stand_in(run: Run, teacher: str, device: torch.device) -> Teacher:
    return on_device(run.load_student().stand_in(teacher), device)


def read_image(image: str | Path | Image.Image) -> Tensor:
    """An image as RGB uint8 `[3, H, W]`, upright."""
    opened = open_image(Path(image)) if isinstance(image, str | Path) else image
    return to_tensor(ImageOps.exif_transpose(opened))


def _solve(model: Teacher, record: TaskRecord, pixels: Tensor, given: Mapping[str, Any]) -> Any:
    """What a model finds in an image `[3, H, W]`, in the image's pixels."""
    canvases, frames = make_canvases([pixels], model.spec.input)
    levels = model.encode(canvases, frames)
    prompt = make_prompt(model, record.name, levels.frames, given)
    return model.decode(record.name, levels, prompt).to_original(levels.frames)[0]


def make_prompt(
    model: Teacher, task: str, frames: Sequence[Frame], given: Mapping[str, Any]
) -> Any:
    """The prompt of a task that takes one, from what the user gave; else None."""
    record = find_task(task)
    if record.prompt is None:
        return None
    return model.prompt(task, **resolve_reference(record.prompt.build)(given, frames))


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
        who = f"{name} does not solve" if name else "no teacher of the run solves"
        raise UsageError(f"{who} {task}", can)
    if len(solving) > 1:
        names = ", ".join(spec.name for spec in solving)
        raise UsageError(f"several teachers solve {task}", f"--teacher one of: {names}")
    return solving[0]


def _check(record: TaskRecord, given: Mapping[str, Any]) -> None:
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


def check_points(points: Sequence[Point], pixels: Tensor) -> None:
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
