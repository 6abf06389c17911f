"""The page of several models on the same data: one file of HTML, as that of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from kivfm_core.evaluation.bootstrap import Interval
from kivfm_core.evaluation.compared import Average, ComparedRow, ModelComparison
from kivfm_core.reporting.page import open_templates

# The color of the bars, as of a student in the report.
WHOSE = "student"


@dataclass(frozen=True)
class Shown:
    """A row of a page.

    Attributes:
        name: The model's, or that of the first run of a group.
        about: Whose decoder was used, and over how many runs the score is averaged.
        row: The numbers.
    """

    name: str
    about: str
    row: ComparedRow | Average

    @property
    def chance_score(self) -> float | None:
        """What is scored by chance; None if that has no meaning."""
        return self.row.chance_score

    def of(self, who: str) -> tuple[float, Interval | None]:
        """The score and its interval, as the bars of a report take them."""
        return self.row.score, self.row.score_interval


@dataclass(frozen=True)
class Part:
    """A task on one source, with all that solve it."""

    task: str
    metric: str
    data: str
    pictures: int
    rows: tuple[Shown, ...]

    @property
    def most(self) -> float:
        """How far the drawing of differences reaches each way: to the farthest end, 0..1."""
        ends = (shown.row.difference_interval for shown in self.rows)
        values = (shown.row.difference for shown in self.rows)
        far = [abs(end) for own in ends if own for end in own]
        return max([*far, *(abs(v) for v in values if v), 1e-6])


def render_comparison(found: ModelComparison) -> str:
    """The page of a comparison, as HTML; averages are in the place of their runs' rows.

    Raises:
        KivfmError: If Jinja2 is not installed.
    """
    rows = found.averages or found.rows
    parts: dict[tuple[str, str], list[ComparedRow | Average]] = {}
    for row in rows:
        parts.setdefault((row.task, row.data), []).append(row)
    return (
        open_templates()
        .get_template("comparison.html")
        .render(
            found=found,
            parts=[_part(own) for own in parts.values()],
            runs=_parts_of_runs(found) if found.averages else (),
            whose=[WHOSE],
            now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=version("kivfm"),
        )
    )


def _parts_of_runs(found: ModelComparison) -> list[ComparedRow]:
    """The rows of those runs that were averaged."""
    averaged = {name for own in found.averages if len(own.runs) > 1 for name in own.runs}
    return [row for row in found.rows if row.model in averaged]


def _part(rows: Sequence[ComparedRow | Average]) -> Part:
    first = rows[0]
    shown = tuple(_shown(row) for row in rows)
    return Part(first.task, first.metric, first.data, first.pictures, shown)


def _shown(row: ComparedRow | Average) -> Shown:
    decoder = f"decoder of {row.teacher}"
    if isinstance(row, ComparedRow):
        return Shown(row.model, decoder, row)
    if row.deviation is None:
        return Shown(row.group, f"{decoder}; one run", row)
    spread = f"mean of {len(row.runs)} runs, standard deviation {row.deviation:.3f}"
    return Shown(row.group, f"{decoder}; {spread}", row)
