"""Drawings of what a teacher predicts: whether that is right, nothing but a look tells."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from kivfm_core.prediction.predict import predict
from kivfm_core.prediction.prompts import Point
from kivfm_core.registry.registry import find_task
from kivfm_core.testing.decoders import NAMES, tasks_of
from kivfm_core.testing.images import make_image
from kivfm_core.testing.outcome import NotChecked
from kivfm_core.testing.subject import Subject

HEIGHT, WIDTH = 480, 640
# In the middle of the image's bright box.
CLICK: tuple[Point, ...] = ((0.3 * WIDTH, 0.6 * HEIGHT),)


def draw(subject: Subject, folder: Path) -> dict[str, Path]:
    """Draws a prediction for each task on one of the kit's images.

    Args:
        subject: The teacher.
        folder: Where the files `TASK.png` are written; made if it is not there.

    Returns:
        The files, by task; none of a task whose decoder raises, or whose tokenizer is not here.
    """
    try:
        tasks, teacher = tasks_of(subject), subject.teacher
    except NotChecked:
        return {}
    image = Image.fromarray(make_image(HEIGHT, WIDTH, 0).permute(1, 2, 0).numpy())
    drawn: dict[str, Path] = {}
    for task in (task.task for task in tasks):
        prompt = find_task(task).prompt
        flags = prompt.flags if prompt else ()
        labels = NAMES if "labels" in flags else None
        points = CLICK if {"points", "prompts"} & {*flags} else None
        file = folder / f"{task}.png"
        try:
            predict(teacher, image, task, labels=labels, points=points, out=file)
        except OSError:
            raise
        except Exception:  # whatever a decoder raises: the check `decoders` reports it
            continue
        drawn[task] = file
    return drawn
