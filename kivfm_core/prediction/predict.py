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
from kivfm_core.geometry import MaskPrompt
from kivfm_core.prediction.draw import CONFIDENCE, Drawing
from kivfm_core.prediction.everything import scan
from kivfm_core.prediction.prompts import Box, Clicks, Given, gather, pointed
from kivfm_core.prediction.result import Prediction
from kivfm_core.prediction.results import draw_everything
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers
from kivfm_core.runs.run import Run, open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.on_device import find_device, on_device
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Teacher


# Twelve parameters, as the command has flags; most calls give three.
def predict(
    run: str | Path | Run | Teacher,
    image: str | Path | Image.Image,
    task: str,
    *,
    teacher: str | None = None,
    labels: Sequence[str] | None = None,
    points: Sequence[Clicks] | None = None,
    boxes: Sequence[Box | None] | None = None,
    prompts: str | Path | Sequence[MaskPrompt] | None = None,
    everything: int | None = None,
    threshold: float = CONFIDENCE,
    out: str | Path | None = None,
    accelerator: str = "auto",
) -> Prediction:
    """Solves a task for an image, in its original pixels.

    Args:
        run: A run or its folder (the student stands in for a teacher of it), or a teacher.
        image: The image.
        task: What to solve.
        teacher: Which of the run's teachers to stand in for, where several solve the task.
        labels: Class names, for tasks such as `zero-shot`.
        points: In the image's pixels, a click `(x, y)` for each mask, or a list of clicks for one;
            `Click(x, y, False)` is a negative one.
        boxes: `(x0, y0, x1, y1)` or None; each belongs to the clicks of the same position.
        prompts: In place of both, `kivfm_core.geometry.MaskPrompt`s, or a JSON file of them.
        everything: In place of all, clicks a side of a grid; their good masks are kept, each once.
        threshold: Objects of a lower score are left out.
        out: A file for the image with the result drawn on it.
        accelerator: Where a run's student computes; a teacher that is given stays where it is.

    Raises:
        UsageError: If teacher, labels, prompts or accelerator do not fit, or `out` is the image.
        DataError: If the image or the file of prompts cannot be read.
    """
    device = find_device(accelerator)
    run = open_run(run) if isinstance(run, str | Path) else run
    warn_of_changed_teachers(run)
    specs = [run.spec] if isinstance(run, Teacher) else run.teachers
    asked = gather(find_task(task), labels, points, boxes, prompts, everything)
    name = choose(specs, task, teacher).name
    _check_out(image, out)
    pixels = _read(image)
    given = asked.of(None if isinstance(image, Image.Image) else image, pixels.shape[1:])
    model = run if isinstance(run, Teacher) else _stand_in(run, name, device)
    drawing = Drawing(pixels, threshold)
    rows = _draw(drawing, asked, model, pixels, given)
    if out is not None:
        drawing.save(Path(out))
    return Prediction(task, name, pixels.shape[2], pixels.shape[1], asked.task.kind, rows)


def _stand_in(run: Run, teacher: str, device: torch.device) -> Teacher:
    return on_device(run.load_student().stand_in(teacher), device)


def _read(image: str | Path | Image.Image) -> Tensor:
    """An image as RGB uint8 `[3, H, W]`, upright."""
    opened = open_image(Path(image)) if isinstance(image, str | Path) else image
    return to_tensor(ImageOps.exif_transpose(opened))


def _draw(
    drawing: Drawing, asked: Given, model: Teacher, pixels: Tensor, given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Draws what a model finds; a row for each thing."""
    record = asked.task
    if asked.everything:
        found = scan(model, record, pixels, asked.everything, drawing.threshold)
        return draw_everything(drawing, found)
    names = given["labels"] or label_names(model.spec.task(record.name).labels)
    found = _solve(model, record, pixels, given)
    return resolve_reference(record.draw)(drawing, found, names, pointed(record, given))


def _solve(model: Teacher, record: TaskRecord, pixels: Tensor, given: Mapping[str, Any]) -> Any:
    """What a model finds in an image `[3, H, W]`, in the image's pixels."""
    canvases, frames = make_canvases([pixels], model.spec.input)
    prompt = None
    if record.prompt is not None:
        raw = resolve_reference(record.prompt.build)(given, frames)
        prompt = model.prompt(record.name, **raw)
    levels = model.encode(canvases, frames)
    return model.decode(record.name, levels, prompt).to_original(frames)[0]


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
