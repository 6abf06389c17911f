"""How numbers and tables are written for people: one place, so that all reports agree.

Sizes in bytes are binary (KiB, MiB, GiB), as the configuration's limits are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

# Eighths of a line's height, and what stands for them where there are no such characters.
BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.:-=+*#"


def count(number: int) -> str:
    """A count of parameters, such as `86.6 M`."""
    for unit, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return str(number)


def size(number: int | None) -> str:
    """A number of bytes, such as `330 MiB`; `size unknown` for None."""
    if number is None:
        return "size unknown"
    for unit, one in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= one:
            # Three digits, but a number just below the next unit has four: 1023 KiB, not 1.02e+03.
            return (
                f"{number / one:.3g} {unit}" if number < 1000 * one else f"{number // one} {unit}"
            )
    return f"{number} B"


def percent(share: float | None) -> str:
    """A share as a percentage, `-` if there is none; adding 0.0 turns -0.0 into 0.0."""
    return "-" if share is None else f"{round(100 * share, 1) + 0.0:.1f} %"


def duration(seconds: float) -> str:
    """A time, such as `12 min`."""
    for unit, one in (("h", 3600), ("min", 60)):
        if seconds >= 2 * one:
            return f"{seconds / one:.3g} {unit}"
    return f"{seconds:.3g} s"


def clock(seconds: float) -> str:
    """A remaining time, such as `1:02:03` or `4:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def sparkline(values: Sequence[float], width: int, marks: str = BLOCKS) -> str:
    """A curve in characters, from its lowest value to its highest.

    Args:
        values: In their order; what is not finite is left out.
        width: At most so many characters; of more values, neighbors are averaged.
        marks: What stands for a height, the lowest first.
    """
    known = [value for value in values if isfinite(value)]
    places = min(width, len(known))
    if places < 1:
        return ""
    ends = [place * len(known) // places for place in range(places + 1)]
    means = [sum(known[a:b]) / (b - a) for a, b in pairwise(ends)]
    low, high = min(means), max(means)
    room = high - low or 1.0
    return "".join(marks[round((value - low) / room * (len(marks) - 1))] for value in means)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of plain text: the header, then a line a row, columns aligned."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, *rows)
    ]
