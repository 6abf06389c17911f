"""Sample predictions in a pushed bundle: what a student sees in a few images of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from kivfm_core.data.unlabeled import find_images
from kivfm_core.models.student_model import StudentModel
from kivfm_core.prediction.predict import predict
from kivfm_core.registry.registry import find_task
from kivfm_core.run_files import slug
from kivfm_core.task import Prompt, spread

# So many images are shown, their longer side in pixels at most.
MOST, SIDE = 4, 512
SAMPLES = "samples"


@dataclass(frozen=True)
class Sample:
    """A prediction, drawn.

    Attributes:
        file: Its path in the bundle.
        teacher: Whose stand-in solved the task.
        task: The task.
    """

    file: str
    teacher: str
    task: str


def draw_samples(model: StudentModel, images: Path, bundle: Path) -> list[Sample]:
    """Solves every task that needs no class names for a few images, and draws the results.

    Names and metadata of the images stay behind.

    Args:
        model: The student.
        images: A folder of images that others may see; of more than four, some of all.
        bundle: Where its folder `samples` is made.

    Raises:
        DataError: If it is no folder of images, or one cannot be read.
    """
    found = find_images(images)
    shown = [_small(found.open(index)) for index in spread(len(found), MOST)]
    (bundle / SAMPLES).mkdir()
    made: list[Sample] = []
    for spec in model.specs:
        for task in (solved.task for solved in spec.tasks):
            prompt = find_task(task).prompt
            if prompt and "prompts" not in prompt.flags:
                continue
            for number, image in enumerate(shown, start=1):
                told = _told(prompt, image)
                drawing = predict(model, image, task, teacher=spec.name, accelerator="cpu", **told)
                if drawing.drawing is not None:
                    file = f"{SAMPLES}/{slug(spec.name)}-{task}-{number}.png"
                    drawing.drawing.save(bundle / file)
                    made.append(Sample(file, spec.name, task))
    return made


def _told(prompt: Prompt | None, image: Image.Image) -> dict[str, Any]:
    """A click in the middle, for a task that takes clicks."""
    return {"points": [(image.width / 2, image.height / 2)]} if prompt else {}


def _small(image: Image.Image) -> Image.Image:
    """The image at the size that is shown, with nothing but its pixels."""
    small = ImageOps.exif_transpose(image).convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return Image.fromarray(np.array(small))


def as_markdown(samples: list[Sample]) -> str:
    """The model card's section; empty without samples."""
    if not samples:
        return ""
    lines = ["## What it sees", "", "Predictions for a few images, drawn by kivfm."]
    for teacher, task in dict.fromkeys((one.teacher, one.task) for one in samples):
        own = [one.file for one in samples if (one.teacher, one.task) == (teacher, task)]
        click = ", for a click in the middle" if find_task(task).prompt else ""
        lines += ["", f"{task}, in place of {teacher}{click}:", ""]
        lines += [f"![{task}]({file})" for file in own]
    return "\n".join([*lines, "", ""])
