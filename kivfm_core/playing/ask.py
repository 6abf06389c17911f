"""What a browser wants to know of an image: read from a request's query, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kivfm_core.errors import UsageError, escaped
from kivfm_core.geometry import Click, MaskPrompt
from kivfm_core.prediction.wanted import CONFIDENCE
from kivfm_core.spec import Record

Word = Annotated[str, Field(max_length=200)]


class Ask(Record):
    """A question about an image. Places are shares of the image's width and height.

    Attributes:
        sample: Which of the images here is meant; None for the one in the request's body.
        teacher: Which of the teachers solves it; None for the model.
        task: The tasks to be solved; all whose prompts are given if there are none.
        label: Class names.
        point: Clicks `X,Y,1` on what is meant, `X,Y,0` on what is not.
        box: A box `X0,Y0,X1,Y1` around what is meant.
        threshold: Objects of a lower score are left out.
    """

    sample: int | None = Field(default=None, ge=0)
    teacher: int | None = Field(default=None, ge=0)
    task: tuple[Word, ...] = Field(default=(), max_length=100)
    label: tuple[Word, ...] = Field(default=(), max_length=200)
    point: tuple[Word, ...] = Field(default=(), max_length=100)
    box: Word | None = None
    threshold: float = Field(default=CONFIDENCE, ge=0, le=1)

    @property
    def labels(self) -> list[str]:
        """The class names without those that are empty, fit to be shown."""
        return [word for text in self.label if (word := escaped(" ".join(text.split())))]

    def prompts(self, width: int, height: int) -> tuple[MaskPrompt, ...]:
        """What is pointed at in an image, in its pixels.

        Raises:
            UsageError: If a place is none.
        """
        if not self.point and self.box is None:
            return ()
        clicks: list[Click] = []
        for text in self.point:
            x, y, positive = _numbers(text, 3)
            # The right and lower edge belong to the last pixel.
            place = min(x * width, width - 1), min(y * height, height - 1)
            clicks.append(Click(round(place[0], 1), round(place[1], 1), positive > 0))
        box = None
        if self.box is not None:
            x0, y0, x1, y1 = _numbers(self.box, 4)
            box = (
                round(x0 * width, 1), round(y0 * height, 1),
                round(x1 * width, 1), round(y1 * height, 1),
            )  # fmt: skip
        return (MaskPrompt(tuple(clicks), box),)


def _numbers(text: str, count: int) -> Sequence[float]:
    """Shares in 0..1."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(0 <= number <= 1 for number in numbers):
        raise UsageError(f"{text!r} is no place in an image: {count} shares in 0..1")
    return numbers
