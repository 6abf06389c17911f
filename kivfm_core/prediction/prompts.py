"""What a user points at: from clicks, boxes and files to the prompts of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from kivfm_core.errors import UsageError, printable
from kivfm_core.geometry import Click, Frame, MaskPrompt
from kivfm_core.prediction.prompt_files import PromptFile, read_prompts
from kivfm_core.reference import resolve_reference
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Teacher

Point = tuple[float, float]
Box = tuple[float, float, float, float]
# A click on an object, or the clicks of one prompt; `(x, y)` is a positive one.
Clicks = Point | Click | Sequence[Point | Click]

# What a task's flag stands for, and an example of it.
FLAGS = {
    "labels": ("class names", '--labels "a cat,a dog"'),
    "points": ("a click", "--points X,Y"),
    "prompts": ("a click or a box", "--points X,Y or --box X0,Y0,X1,Y1, or --everything 16"),
}


@dataclass(frozen=True)
class Given:
    """What a user gives with an image, or with many.

    Attributes:
        task: What for.
        labels: Class names.
        prompts: Prompts for every image, in its own pixels.
        file: Prompts by image.
        everything: Clicks a side of a grid that is laid over the image; 0 for none.
    """

    task: TaskRecord
    labels: Sequence[str] | None = None
    prompts: tuple[MaskPrompt, ...] = ()
    file: PromptFile | None = None
    everything: int = 0

    @property
    def points_at(self) -> bool:
        """Whether places in an image are given."""
        return bool(self.prompts or self.file)

    def of(self, image: str | Path | None, size: Sequence[int]) -> dict[str, Any]:
        """What `Prompt.build` takes, for an image.

        Args:
            image: Its name; None if it has none.
            size: Its `(height, width)`.

        Raises:
            UsageError: If a click or box is outside the image, or the file has no prompt for it.
        """
        return told(self.labels, self.file.of(image) if self.file else self.prompts, size)


# Six ways to say what is meant, as the command has flags.
def gather(
    record: TaskRecord,
    labels: Sequence[str] | None = None,
    points: Sequence[Clicks] | None = None,
    boxes: Sequence[Box | None] | None = None,
    prompts: str | Path | Sequence[MaskPrompt] | None = None,
    everything: int | None = None,
) -> Given:
    """What is given for a task, once for all images.

    Args:
        record: The task.
        labels: Class names.
        points: As in `kivfm_core.predict`.
        boxes: As in `kivfm_core.predict`.
        prompts: As in `kivfm_core.predict`.
        everything: As in `kivfm_core.predict`.

    Raises:
        UsageError: If the task needs something else, or takes none of it.
        DataError: If a file of prompts cannot be read.
    """
    flags = {
        "labels": labels, "points": points, "box": boxes, "prompts": prompts,
        "everything": everything,
    }  # fmt: skip
    _check(record, flags)
    check_names(labels or ())
    if everything is not None and not 1 <= everything <= 128:
        raise UsageError(f"a grid of {everything} clicks a side", "--everything 16: 1 to 128")
    if isinstance(prompts, str | Path):
        return Given(record, labels, file=read_prompts(Path(prompts)))
    own = tuple(prompts or ()) or join(points or (), boxes or ())
    _check_plain(record, own)
    return Given(record, labels, own, everything=everything or 0)


def told(
    labels: Sequence[str] | None, prompts: Sequence[MaskPrompt], size: Sequence[int]
) -> dict[str, Any]:
    """What `Prompt.build` takes, for an image of `(height, width)`.

    Raises:
        UsageError: If a click or box is outside the image, or a class is named twice.
    """
    check_names(labels or ())
    for prompt in prompts:
        _check_inside(prompt, size)
    points = [(click.x, click.y) for prompt in prompts for click in prompt.clicks]
    return {"labels": labels, "points": points, "prompts": list(prompts)}


def make_prompt(
    model: Teacher, record: TaskRecord, frames: Sequence[Frame], given: Mapping[str, Any]
) -> Any:
    """The prompt of a task for canvases of these frames; None if the task takes none.

    Args:
        model: Who solves it.
        record: The task.
        frames: Of the canvases.
        given: What `Given.of` gives.
    """
    if record.prompt is None:
        return None
    return model.prompt(record.name, **resolve_reference(record.prompt.build)(given, frames))


def pointed(record: TaskRecord, given: Mapping[str, Any]) -> Any:
    """What `TaskRecord.draw` gets of the clicks: prompts if the task takes them, or `[P, 2]`."""
    if record.prompt is not None and "prompts" in record.prompt.flags:
        return given["prompts"]
    return torch.tensor(given["points"]).reshape(-1, 2)


def join(points: Sequence[Clicks], boxes: Sequence[Box | None]) -> tuple[MaskPrompt, ...]:
    """Prompts of clicks and boxes: the first box belongs to the first clicks, and so on.

    Example:
        >>> [len(prompt.clicks) for prompt in join([(1, 2), [(3, 4), (5, 6)]], [(0, 0, 9, 9)])]
        [1, 2]
    """
    count = max(len(points), len(boxes))
    clicks = [_clicks(item) for item in points] + [()] * (count - len(points))
    around = [*boxes] + [None] * (count - len(boxes))
    return tuple(
        MaskPrompt(own, None if box is None else _box(box))
        for own, box in zip(clicks, around, strict=True)
    )


def _clicks(item: Clicks) -> tuple[Click, ...]:
    if isinstance(item, Click):
        return (item,)
    if len(item) == 2 and not any(isinstance(part, Click | Sequence) for part in item):
        item = [cast(Point, item)]
    several = cast(Sequence[Point | Click], item)
    return tuple(one if isinstance(one, Click) else Click(*one) for one in several)


def _box(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1


def _check(record: TaskRecord, flags: Mapping[str, Any]) -> None:
    """Refuses what lacks something, and what the task does not take."""
    needs = record.prompt.flags if record.prompt else ()
    pointing = {"points", "box", "prompts", "everything"}
    takes = {*needs} | (pointing if "prompts" in needs else set[str]())
    for flag, value in flags.items():
        if value and flag not in takes:
            own = flag == "labels" and record.classes == "teacher"
            why = ": its classes are the teacher's" if own else ""
            raise UsageError(f"{record.name} takes no {flag}{why}", f"leave out --{flag}")
    for flag in needs:
        if not any(flags[name] for name in (pointing if flag == "prompts" else {flag})):
            what, hint = FLAGS[flag]
            raise UsageError(f"{record.name} needs {what}", hint)
    if (
        sum(bool(flags[name]) for name in ("prompts", "everything"))
        + bool(flags["points"] or flags["box"])
        > 1
    ):
        raise UsageError(
            "clicks, a file of prompts and a grid are given at once",
            "--points and --box, or --prompts FILE, or --everything N",
        )


def check_names(labels: Sequence[str]) -> None:
    """Refuses a class that is named twice: each would get half of its probability.

    Raises:
        UsageError: If one is.
    """
    twice = [name for place, name in enumerate(labels) if name in labels[:place]]
    if twice:
        raise UsageError(f"the class {printable(twice[0])} is named twice", "name each once")


def _check_plain(record: TaskRecord, prompts: Sequence[MaskPrompt]) -> None:
    """Refuses negative clicks where a task takes places and no sign."""
    plain = record.prompt is not None and "points" in record.prompt.flags
    if plain and not all(click.positive for prompt in prompts for click in prompt.clicks):
        raise UsageError(f"{record.name} takes no negative clicks", "--points X,Y")


def _check_inside(prompt: MaskPrompt, size: Sequence[int]) -> None:
    """Refuses clicks and boxes beside an image of `(height, width)`, or nowhere."""
    height, width = size
    for click in prompt.clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise UsageError(
                f"the point {click.x:g},{click.y:g} is outside the image",
                f"x is at least 0 and less than {width}, y less than {height}",
            )
    if prompt.box is None:
        return
    x0, y0, x1, y1 = prompt.box
    text = ",".join(f"{value:g}" for value in prompt.box)
    if not (0 <= x0 <= width and 0 <= x1 <= width and 0 <= y0 <= height and 0 <= y1 <= height):
        raise UsageError(
            f"the box {text} is outside the image",
            f"x is at least 0 and at most {width}, y at most {height}",
        )
    if not (x0 < x1 and y0 < y1):
        raise UsageError(
            f"the box {text} is empty", "--box X0,Y0,X1,Y1: left, top, right and bottom edge"
        )
