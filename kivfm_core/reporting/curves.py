"""Curves over the steps of a run: which there are, and where they lie in a drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10, nan

# A point of a curve: step and value.
Point = tuple[int, float]

# A curve has at most so many points, and all curves of a drawing together, so that a page stays
# small.
POINTS, TOGETHER = 500, 5000
# What is larger is a gap, as what is not finite.
LARGEST = 1e30
# A drawing whose largest value is so many times its smallest has a logarithmic axis.
WIDE = 20.0


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in 0..100 from its beginning, and what it reads."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve: its name, and an SVG path in 0..100 each way, y downwards."""

    name: str
    path: str


@dataclass(frozen=True)
class Chart:
    """Curves with axes in common.

    Attributes:
        lines: The curves.
        x: Ticks of the steps.
        y: Ticks of the values.
        is_log: Whether the values' axis is logarithmic.
        each: So many lines of the record are averaged to a point, at most.
    """

    lines: tuple[Line, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    is_log: bool
    each: int


def draw_curves(curves: Mapping[str, Sequence[Point]], last: int) -> Chart | None:
    """Places curves in a drawing.

    Args:
        curves: Points by name, in the order of their steps. A value that is not finite leaves a
            gap; one that is not above zero leaves one on a logarithmic axis.
        last: The last step of the axis, which begins at 0.

    Returns:
        The drawing; None if no curve has two points.
    """
    most = max(2, min(POINTS, TOGETHER // max(1, len(curves))))
    each = max(1, *(ceil(len(points) / most) for points in curves.values())) if curves else 1
    thinned = {name: _thin(points, each) for name, points in curves.items()}
    values = [v for points in thinned.values() for _, v in points if isfinite(v)]
    if all(len(points) < 2 for points in thinned.values()) or not values:
        return None
    positive = [value for value in values if value > 0]
    is_log = bool(positive) and min(values) >= 0 and max(positive) > WIDE * min(positive)
    y_ticks, place_y = _log_axis(positive) if is_log else _value_axis([0.0, *values])
    x_ticks, place_x = _step_axis(max(last, 1))
    return Chart(
        lines=tuple(
            Line(name, _path([(place_x(step) or 0.0, place_y(v)) for step, v in points]))
            for name, points in thinned.items()
        ),
        x=x_ticks,
        y=y_ticks,
        is_log=is_log,
        each=each,
    )


def _thin(points: Sequence[Point], each: int) -> list[Point]:
    """Means of so many neighbors each, where they are numbers; the last step stays the last."""
    parts = [points[i : i + each] for i in range(0, len(points), each)]
    return [(part[-1][0], _mean([v for _, v in part if abs(v) < LARGEST])) for part in parts]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """An SVG path that begins anew after every gap; a point alone is a dot."""
    words: list[str] = []
    before = False
    for x, y in points:
        if y is not None:
            words.append(f"{'L' if before else 'M'}{x:.4g} {100 - y:.4g}" + "h.2" * (not before))
        before = y is not None
    return "".join(words)


# Ticks, and where a value lies in 0..100; None for one that has no place.
Axis = tuple[tuple[Tick, ...], Callable[[float], float | None]]


def _step_axis(last: int) -> Axis:
    """An axis of steps, from 0 to the last, with round ticks."""
    return _axis(0, last, range(0, last + 1, max(1, round(_unit(last)))))


def _value_axis(values: Sequence[float]) -> Axis:
    """A linear axis that begins and ends at round ticks."""
    low, high = min(values), max(values)
    unit = _unit((high - low) or 1.0)
    begin, end = floor(low / unit), ceil(high / unit)
    end = max(end, begin + 1)
    return _axis(begin * unit, end * unit, [i * unit for i in range(begin, end + 1)])


def _unit(room: float) -> float:
    """The distance of at most seven round ticks over some room."""
    unit = 10.0 ** floor(log10(room / 4))
    return next(unit * n for n in (1, 2, 5, 10) if unit * n * 5 >= room)


def _axis(begin: float, end: float, ticks: Iterable[float]) -> Axis:
    def place(value: float) -> float | None:
        return 100 * (value - begin) / (end - begin) if isfinite(value) else None

    marks = (Tick(100 * (t - begin) / (end - begin), f"{t:.10g}") for t in ticks)
    return tuple(marks), place


def _log_axis(values: Sequence[float]) -> Axis:
    """A logarithmic axis over whole powers of ten, with at most seven ticks."""
    begin, end = floor(log10(min(values))), ceil(log10(max(values)))
    ticks = range(begin, end + 1, ceil((end - begin) / 6) or 1)

    def place(value: float) -> float | None:
        is_on = isfinite(value) and value > 0
        return 100 * (log10(value) - begin) / (end - begin) if is_on else None

    return tuple(Tick(100 * (t - begin) / (end - begin), f"{10.0**t:g}") for t in ticks), place
