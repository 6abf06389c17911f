"""What a task is: the torch-free record that describes it, and what its code has to offer.

A record is data. Code is named by reference (`"package.module:function"`) and imported only when
the task is measured, predicted or checked, so that lists and plans stay light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from pydantic import Field

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame, Size
from kivfm_core.spec import API_VERSION, REFERENCE, TASK, Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LabelFormat(Record):
    """A layout in which labeled images lie on disk.

    Attributes:
        name: As in `--data FORMAT:PATH`.
        read: Reference to `(path) -> LabeledImages | None`; None for a path that is not in this
            format. Raises `DataError` for one that is, and is broken.
        needs: What has to lie at the path, such as `labels.json beside the images`.
        example: A file of it, such as `{"a.jpg": "cat"}`.
    """

    name: str = Field(pattern=TASK)
    read: str = Field(pattern=REFERENCE)
    needs: str
    example: str = ""


class Prompt(Record):
    """What a task has to be told before it can be solved.

    Attributes:
        flags: What a user gives, all of it required: `labels` (class names), `points` (clicks
            `(x, y)` in the image's own pixels) or `prompts` (`kivfm_core.geometry.MaskPrompt`s in
            the same pixels: clicks with a sign, boxes). They are `--labels`, `--points`, and
            `--points` with `--box` or `--prompts` of `kivfm predict`.
        build: Reference to `(given, frames) -> dict`: the arguments of the decoder's
            `prompt(**raw)`. `given` holds the flags' values by name, the same for every image;
            `frames` are those of the batch, for what depends on the canvas.
    """

    flags: tuple[Literal["labels", "points", "prompts"], ...] = Field(min_length=1)
    build: str = Field(pattern=REFERENCE)


class Saved(Record):
    """How a task's results become labels that are saved.

    Attributes:
        part: What they are: boxes, masks of objects, a map of classes, or the class of an image.
            The formats that hold this can be chosen.
        build: Reference to `(found, classes) -> dict`: fields of
            `kivfm_core.data.saving.record.SavedImage`. `found` is an image's item of `to_original`,
            `classes` a `kivfm_core.prediction.labels.SavedClasses`.
    """

    part: Literal["boxes", "masks", "map", "class"]
    build: str = Field(pattern=REFERENCE)


class Measured(Record):
    """Something that is measured on labeled images.

    Attributes:
        name: As in `--tasks NAME` and `--data NAME=PATH`.
        metric: What the score is called.
        formats: The label formats that it can be measured on, the best first: names of kivfm's
            own formats, or records of others.
        masks: Whether the labels must have masks. COCO files may hold boxes alone.
    """

    name: str = Field(pattern=TASK)
    metric: str
    formats: tuple[str | LabelFormat, ...] = Field(min_length=1)
    masks: bool = False


class TaskRecord(Measured):
    """The static description of a task: what teachers solve, and how that is measured and shown.

    Attributes:
        api_version: Of this record; read before any other field.
        name: As in `TaskSpec.task`.
        short: Its name in narrow tables.
        summary: One line for help and lists.
        prediction: Reference to the class of its predictions, a dataclass with the methods of
            `kivfm_core.predictions.Predictions`.
        classes: Whose classes are predicted: the teacher's (`TaskSpec.labels`), those of the
            prompt, or none.
        prompt: What it has to be told; None for a task that needs nothing but the image.
        meter: Reference to `(data, classes) -> Meter`. `data` is what a format's reader gave,
            `classes` the names of the teacher's label space, or None. Raises `DataError` if
            these have nothing in common.
        kind: What is found in an image, in the plural: the key of the rows in `kivfm predict
            --json`, such as `objects`.
        draw: Reference to `(drawing, found, names, points) -> list of rows`, for one image.
            `drawing` is a `kivfm_core.prediction.draw.Drawing` of it, `found` its item of
            `to_original`, `names` the classes' names or None, `points` the clicks `[P, 2]`, or the
            list of prompts for a task that has the flag `prompts`; a row is a dict that can be
            written as JSON.
        saved: How `kivfm predict --save` makes labels of it; None if it cannot.
        check: Reference to `(predictions, classes) -> str`, for the conformance kit: what is wrong
            with the form of predictions, one line, empty if nothing is. `classes` is how many
            there are, or None.
        export: Reference to `(decoders, task, levels, prompt) -> (tensors, facts)`, for exports:
            tensors by name, of shapes that do not depend on what an image shows, and a dict, ready
            for JSON, of what one has to know to use them. None: the task is not exported.
        export_prompt: Reference to `(images, number, size) -> tensors`, an example of the prompt
            that an export takes beside its canvas: tensors by name `[B, P, N, ...]`, `P` prompts
            for each image, `N` parts of each; these three sizes are left open, and `export` gets
            the tensors as its prompt. None: a prompt becomes part of the file.
        hub: What model hubs call such tasks, for a student's model card; None: its name.
    """

    api_version: Literal[1, 2] = API_VERSION
    short: str
    summary: str
    prediction: str = Field(pattern=REFERENCE)
    classes: Literal["teacher", "prompt", "none"] = "none"
    prompt: Prompt | None = None
    meter: str = Field(pattern=REFERENCE)
    kind: str = Field(pattern=r"^[a-z_]+$")
    draw: str = Field(pattern=REFERENCE)
    saved: Saved | None = None
    check: str | None = Field(default=None, pattern=REFERENCE)
    export: str | None = Field(default=None, pattern=REFERENCE)
    export_prompt: str | None = Field(default=None, pattern=REFERENCE)
    hub: str | None = Field(default=None, pattern=TASK)


class LabeledImages:
    """What the reader of a label format returns: images, and the labels of each.

    Subclasses hold the labels; what these are is between a format and the tasks measured on it.

    Attributes:
        paths: The images' files.
        has_masks: Whether any label has a mask; false only where a format also allows labels
            without.
        notes: What was repaired or passed over when the labels were read, a line each.
    """

    paths: tuple[Path, ...]
    has_masks: bool = True
    notes: tuple[str, ...] = ()

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their labels."""
        raise NotImplementedError

    def take(self, limit: int | None) -> Self:
        """At most `limit` images, evenly spread, so that sorted classes all stay in."""
        return self.pick(spread(len(self.paths), limit))

    def size(self, index: int) -> Size | None:
        """`(height, width)` of the image that the labels are for; None if they do not say."""
        return None


def spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` of `count` indices, evenly spread.

    Example:
        >>> spread(6, 3), spread(2, 3)
        ([0, 2, 4], [0, 1])
    """
    if limit is None or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


class Prompter(Protocol):
    """The part of a teacher that a meter needs."""

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt."""
        ...


@dataclass(frozen=True)
class Chance:
    """What is scored without a look at the images.

    Attributes:
        score: In 0..1.
        error: Its standard error: by how much luck moves it on as many images.
    """

    score: float
    error: float = 0.0


def weighted_means(
    counts: NDArray[np.float64], sums: NDArray[np.float64], numbers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Means over what is counted in the images of a draw, for meters whose score is such a mean.

    Args:
        counts: `[D, N]`, as `Meter.resample` gets them.
        sums: `[N]` or `[N, K]`, the sum over what is counted in an image.
        numbers: Of the same shape, how much that is.

    Returns:
        `[D]` or `[D, K]`; NaN where a draw has nothing that is counted.
    """
    number = counts @ numbers
    number[number <= 0] = float("nan")  # 0 as divisor would warn
    return (counts @ sums) / number


class Meter:
    """Measures one task of one model on one data set: takes predictions, batch by batch."""

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The prompt for a batch; None, as here, if the task takes none.

        Args:
            teacher: Whose `prompt` prepares it.
            indices: Of the batch's images in the data.
            frames: Their canvases' frames.
        """
        return None

    def update(self, predictions: Any, indices: Sequence[int], frames: Sequence[Frame]) -> None:
        """Takes the predictions for the images of these indices."""
        raise NotImplementedError

    def seen(self) -> Any:
        """What it knows of the images so far, as plain data, for the meter of another process.

        Raises:
            UsageError: If its images cannot be shared by several processes, as here.
        """
        raise UsageError(
            f"{type(self).__name__} measures in one process only", "leave out --devices and --nodes"
        )

    def absorb(self, seen: Any) -> None:
        """Takes what `seen` gave of other images of the same data."""
        raise NotImplementedError

    def compute(self) -> float:
        """The score of all images so far, in 0..1, higher is better.

        Raises:
            DataError: If there was nothing to measure.
        """
        raise NotImplementedError

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The scores of draws of the images so far, for intervals; None, as here, if not known.

        Args:
            counts: `[D, N]`, how often each of the data's N images is in each of D draws: whole
                numbers, 0 for an image of which there were no predictions.

        Returns:
            `[D]`, what `compute` would give of each draw's images; NaN where it would raise.
        """
        return None

    def objects(self) -> int | None:
        """How many objects the score so far rests on; None, as here, if it counts images."""
        return None

    def chance(self) -> Chance | None:
        """What is scored on these images by chance; None, as here, if that has no meaning."""
        return None

    def notes(self) -> tuple[str, ...]:
        """What a reader of the score should know of the labels, a line each."""
        return ()
