"""Predicts one image with a model: a student in the role of a teacher, or a teacher."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from torch import Tensor

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.label_spaces import label_names
from kivfm_core.data.members import open_at
from kivfm_core.data.remote.url import is_url, locate
from kivfm_core.errors import DataError, UsageError, out_of_memory_said, printable
from kivfm_core.geometry import MaskPrompt
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.prediction.draw import Drawing, check_drawable
from kivfm_core.prediction.everything import scan
from kivfm_core.prediction.prompts import Box, Clicks, Given, gather, pointed
from kivfm_core.prediction.result import Prediction, take_masks
from kivfm_core.prediction.results import draw_everything
from kivfm_core.prediction.solver import Solver, to_original
from kivfm_core.prediction.wanted import CONFIDENCE, TOP, Wanted
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.changed_teachers import warn_of_changed_teachers
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Teacher


@out_of_memory_said()
# Twelve parameters, as the command has flags; most calls give three.
def predict(
    model: str | Path | Run | Model | Teacher,
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
        teacher: Which of a student's teachers to stand in for, if several solve the task.
        labels: Class names, for tasks such as `zero-shot`.
        points: Clicks in the image's pixels: for each mask `(x, y)`, or a list of `Click`s.
        boxes: `(x0, y0, x1, y1)` or None; each belongs to the clicks of the same position.
        prompts: In place of both, `kivfm_core.geometry.MaskPrompt`s, or a JSON file of them.
        everything: In place of all, clicks a side of a grid; their good masks are kept, each once.
        threshold: Objects of a lower score are left out.
        classes: Only these of the model's classes are kept.
        top: Of the classes of an image, so many are listed.
        suppress: Of boxes of a higher IoU than this, the best is kept; see `Wanted`.
        out: A file for the image with the result drawn on it.
        accelerator: Where the encoder computes, as in `engine.accelerator`.

    Raises:
        KivfmError: If the arguments do not fit, or a file cannot be read or written to.
    """
    asked = gather(find_task(task), labels, points, boxes, prompts, everything)
    wanted = Wanted(threshold, tuple(classes) if classes else None, top, suppress)
    solver = find_solver(model, asked, teacher, wanted, accelerator)
    _check_files(image, out)
    pixels = read_image(image)
    given = asked.of(None if isinstance(image, Image.Image) else image, pixels.shape[1:])
    found = _draw(Drawing(pixels, wanted=wanted), solver, pixels, given)
    if out is not None and found.drawing:
        found.drawing.save(Path(out))
    return found


def find_solver(
    model: str | Path | Run | Model | Teacher,
    asked: Given,
    teacher: str | None,
    wanted: Wanted,
    accelerator: str,
) -> Solver:
    """Finds who solves a task, and checks the arguments, before anything that takes long.

    Args:
        model: As `predict` takes it.
        asked: The task, and what is given for it.
        teacher: Which of a student's teachers to stand in for.
        wanted: What of the predictions is kept.
        accelerator: Where the encoder computes.

    Raises:
        UsageError: If nobody solves the task, several do, or a wanted class is none of its.
    """
    opened = model if isinstance(model, Teacher) else open_model(model, accelerator)
    specs = [opened.spec] if isinstance(opened, Teacher) else opened.specs
    spec = choose(specs, asked.task.name, teacher)
    if isinstance(opened, Model):
        warn_of_changed_teachers(opened.run)
    names = asked.labels or label_names(spec.task(asked.task.name).labels)
    wanted.indices(names)
    return Solver(opened, spec, asked.task, asked, names, wanted)


def read_image(image: str | Path | Image.Image) -> Tensor:
    """An image as RGB uint8 `[3, H, W]`, upright."""
    opened = open_at(locate(image)) if isinstance(image, str | Path) else image
    return to_tensor(ImageOps.exif_transpose(opened))


def _draw(drawing: Drawing, solver: Solver, pixels: Tensor, given: Mapping[str, Any]) -> Prediction:
    """Finds what there is in an image `[3, H, W]`, and draws it."""
    record, (height, width) = solver.record, pixels.shape[1:]
    canvases, frames = make_canvases([pixels], solver.spec.input)
    if solver.asked.everything:
        rows = draw_everything(drawing, scan(solver, canvases, frames[0]))
    else:
        item = to_original(record, solver.solve(canvases, frames, given), frames)[0]
        points = pointed(record, given)
        rows = resolve_reference(record.draw)(drawing, item, solver.names, points)
    about = record.name, solver.spec.name, width, height, record.kind
    return Prediction(*about, rows, solver.names, take_masks(rows), drawing)


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


def _check_files(image: str | Path | Image.Image, out: str | Path | None) -> None:
    """Refuses what is not there or cannot be drawn to, and to draw over the image itself."""
    # First: who mistypes a folder's name gives another folder for the labels.
    file = None if isinstance(image, Image.Image) or is_url(image) else Path(image)
    if file is not None and not file.exists():
        raise DataError(f"there is no {printable(file)}", "give an image, or a folder of them")
    if out is None:
        return
    drawn = Path(out)
    check_drawable(drawn)
    if file is not None and drawn.exists() and drawn.samefile(file):
        raise UsageError(
            f"{printable(drawn)} is the image itself, and would be overwritten",
            f"-o {shlex.quote(str(drawn.with_name(f'{drawn.stem}-result.png')))}",
        )
