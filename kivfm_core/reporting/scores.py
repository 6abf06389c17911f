"""The evaluation as a page shows it: rows with scores, and what is said beside them."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, ValidationError

from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.run_files import RunFiles

# Whose scores have bars: keys of rows, and the words for them, in the order of the bars.
WHOSE = {"teacher": "teacher", "untrained": "untrained", "student": "student"}
# The same where the base's own features are compared.
BASE_WHOSE = {"base": "base", "student": "student"}
# Further scores, which are numbers only.
MORE = {"bound": "bound", "shared": "shared canvas"}

Interval = tuple[float, float] | None


class Score(BaseModel):
    """A row of an evaluation, be it of a task or of the base's own features.

    What a row of another version has beside these is not looked at; what it lacks is None.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    teacher: str = ""
    task: str = ""
    metric: str
    data: str = ""
    pictures: int | None = None
    objects: int | None = None
    bad: int = 0
    limit: int | None = None
    teacher_score: float | None = None
    teacher_interval: Interval = None
    base_score: float | None = None
    base_interval: Interval = None
    untrained_score: float | None = None
    untrained_interval: Interval = None
    student_score: float | None = None
    student_interval: Interval = None
    bound_score: float | None = None
    bound_interval: Interval = None
    shared_score: float | None = None
    shared_interval: Interval = None
    chance_score: float | None = None
    at_chance: bool = False
    retention: float | None = None
    retention_interval: Interval = None
    gain: float | None = None
    gain_interval: Interval = None

    def of(self, who: str) -> tuple[float | None, Interval]:
        """A score and its 95 % interval, by a key such as `student`."""
        return getattr(self, f"{who}_score"), getattr(self, f"{who}_interval")


class Summary(BaseModel):
    """Retention and gain over the teachers."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    retention_mean: float | None = None
    retention_min: float | None = None
    gain_mean: float | None = None
    gain_min: float | None = None
    retention_mean_interval: Interval = None
    gain_mean_interval: Interval = None
    limit: int | None = None
    left_out: int = 0


class Scores(BaseModel):
    """An evaluation, as far as a page shows it."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    rows: list[Score]
    base: list[Score]
    summary: Summary
    skipped: list[str] = []
    notes: list[str] = []

    @property
    def sources(self) -> dict[str, str]:
        """The sources of all rows, each with a short name."""
        return short_names(row.data for row in (*self.rows, *self.base) if row.data)

    @property
    def bad(self) -> dict[str, int]:
        """How many images of each source cannot be decoded."""
        most: dict[str, int] = {}
        for row in (*self.rows, *self.base):
            if row.bad:
                most[row.data] = max(row.bad, most.get(row.data, 0))
        return most


def columns(rows: list[Score], among: dict[str, str]) -> dict[str, str]:
    """Those scores that any of the rows has: keys, and the words for them."""
    return {
        who: words
        for who, words in among.items()
        if any(row.of(who)[0] is not None for row in rows)
    }


def short_names(sources: Iterable[str]) -> dict[str, str]:
    """Sources by as many of their last parts as tell them apart: `val`, or `a/val` and `b/val`."""
    parts = {source: source.rstrip("/").split("/") for source in sources}
    for number in range(1, max(map(len, parts.values()), default=0) + 1):
        names = {source: "/".join(own[-number:]) for source, own in parts.items()}
        if len(set(names.values())) == len(names) and all(names.values()):
            return names
    return {source: source for source in parts}


def read_scores(run: RunFiles) -> Scores | None:
    """A run's evaluation; None if there is none.

    Raises:
        UsageError: If it is damaged.
    """
    record = run.evaluation
    try:
        return Scores.model_validate(record) if record else None
    except ValidationError as error:
        cause = printable(one_line(error))
        raise UsageError(f"{printable(run.evaluation_file)} is damaged: {cause}") from error
