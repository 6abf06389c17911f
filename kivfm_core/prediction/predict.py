"""Predicts one picture with a run's student, or with any teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.result import Prediction
from kivfm_core.prediction.results import RESULTS
from kivfm_core.runs.run import Run, open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.on_device import find_device, on_device
from kivfm_core.teacher import Teacher

Point = tuple[float, float]


def predict(
    run: str | Path | Run | Teacher,
    image: str | Path | Image.Image,
    task: str,
    *,
    teacher: str | None = None,
    labels: Sequence[str] | None = None,
    points: Sequence[Point] | None = None,
    out: str | Path | None = None,
    accelerator: str = "auto",
) -> Prediction:
    """Solves a task for a picture, in its original pixels.

    Args:
        run: A run's folder, a run (its student stands in for the teacher that solves the task), or
            a teacher.
        image: The picture.
        task: What to solve.
        teacher: Which of the run's teachers to stand in for, where several solve the task.
        labels: Class names, for `zero-shot`.
        points: Clicks `(x, y)` in the picture's pixels, for `promptable-segmentation`.
        out: A file for the picture with the result drawn on it.
        accelerator: Where a run's student computes, as in `engine.accelerator`; a GPU if CUDA has
            one. A teacher that is given stays where it is.

    Returns:
        What was found.

    Raises:
        UsageError: If no teacher solves the task, several do, labels or points are missing, or
            there is no such accelerator.
        DataError: If the picture cannot be decoded.
    """
    device = find_device(accelerator)
    if isinstance(run, str | Path):
        run = open_run(run)
    if isinstance(run, Teacher):
        model = run
        choose([model.spec], task, teacher)
        _check(task, labels, points)
    else:
        name = choose(run.teachers, task, teacher).name
        _check(task, labels, points)
        model = on_device(run.load_student().stand_in(name), device)
    picture = open_image(Path(image)) if isinstance(image, str | Path) else image
    pixels = to_tensor(ImageOps.exif_transpose(picture))
    canvases, frames = make_canvases([pixels], model.spec.input)
    prompt = _prompt(model, task, frames[0], labels, points)
    levels = model.encode(canvases, frames)
    found = model.decode(task, levels, prompt).to_original(frames)[0]

    names = labels or label_names(model.spec.task(task).labels)
    drawing = Drawing(pixels)
    clicks = torch.tensor(points or []).reshape(-1, 2)
    kind, read = RESULTS[task]
    rows = read(drawing, found, names, clicks)
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        drawing.to_pil().save(out)
    _, height, width = pixels.shape
    return Prediction(task, model.spec.name, width, height, kind, rows)


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


def _check(task: str, labels: Sequence[str] | None, points: Sequence[Point] | None) -> None:
    if task == "zero-shot" and not labels:
        raise UsageError("zero-shot needs class names", '--labels "a cat,a dog"')
    if task == "promptable-segmentation" and not points:
        raise UsageError("promptable-segmentation needs a click", "--points x,y")


def _prompt(
    model: Teacher,
    task: str,
    frame: Frame,
    labels: Sequence[str] | None,
    points: Sequence[Point] | None,
) -> Any:
    if task == "zero-shot":
        return model.prompt(task, labels=list(labels or ()))
    if task == "promptable-segmentation":
        clicks = torch.tensor([frame.to_canvas(x, y) for x, y in points or ()])
        return model.prompt(task, points=[clicks])
    return None
