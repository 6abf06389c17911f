"""Reads clicks and boxes as they are written on the command line."""

from __future__ import annotations

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Click

# What stands before a click on what is not meant. A sign would be taken for the number's own.
NOT = "not "


def parse_clicks(text: str) -> list[Click]:
    """The clicks of one prompt.

    Example:
        >>> parse_clicks("120,80; not 40,40")
        [Click(x=120.0, y=80.0, positive=True), Click(x=40.0, y=40.0, positive=False)]
    """
    return [_click(part.strip(), text) for part in text.split(";")]


def _click(part: str, whole: str) -> Click:
    place = part.removeprefix(NOT)
    try:
        x, y = (float(number) for number in place.split(","))
    except ValueError:
        raise UsageError(
            f"--points {whole!r}: {part!r} is not X,Y", "--points '120,80' or '120,80;not 40,40'"
        ) from None
    return Click(x, y, place == part)


def parse_box(text: str) -> tuple[float, float, float, float]:
    """A box.

    Example:
        >>> parse_box("10,20,30,40")
        (10.0, 20.0, 30.0, 40.0)
    """
    try:
        x0, y0, x1, y1 = (float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"--box {text!r} is not X0,Y0,X1,Y1", "--box 10,20,200,160") from None
    return x0, y0, x1, y1
