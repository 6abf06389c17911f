"""What probes measured: rows, and the record of a folder that keeps them. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.files import write_text
from kivfm_core.run_files import read_record
from kivfm_core.spec import Record

# The record's name in the folder of a probe.
RECORD = "probe.json"


class ProbeRow(Record):
    """One score of one model by one protocol.

    Attributes:
        protocol: Its name.
        metric: What the score is.
        features: What was measured: names of levels.
        score: In 0..1, or up to 1 for `cka`.
        interval: Its 95 % interval, by drawing the images of val anew; None if none is known.
        chance: What is scored by chance; None if that has no meaning.
        train_images: How many images of train were read.
        images: How many images of val were read.
        bad: How many of both were skipped, since they cannot be decoded.
        settings: What the score depends on beside model and data, as it was used.
        model: As it was given.
        train: The source to learn from; None if there is none.
        val: The source of the scored images.
    """

    protocol: str
    metric: str
    features: str
    score: float
    interval: tuple[float, float] | None = None
    chance: float | None = None
    train_images: int = 0
    images: int
    bad: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    model: str = ""
    train: str | None = None
    val: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same for rows of which the later one counts."""
        named = (self.protocol, self.metric, self.features, self.model, self.train, self.val)
        return *named, tuple(sorted((name, str(value)) for name, value in self.settings.items()))


class ProbeResult(Record):
    """What one call measured, or what a folder keeps of all calls.

    Attributes:
        rows: A row a score.
        notes: What a reader should know, a line each.
        seconds: How long the last call took.
        draws: How often images were drawn anew for intervals.
        seed: Of the draws.
    """

    schema_version: int = Field(default=1, alias="schema")
    rows: tuple[ProbeRow, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    draws: int = 0
    seed: int = 0

    def added_to(self, earlier: ProbeResult) -> ProbeResult:
        """Earlier results with these added, or in the place of their like."""
        keys = {row.key for row in self.rows}
        kept = (row for row in earlier.rows if row.key not in keys)
        notes = tuple(dict.fromkeys((*earlier.notes, *self.notes)))
        return self.model_copy(update={"rows": (*kept, *self.rows), "notes": notes})


def read_result(folder: Path) -> ProbeResult:
    """What a folder keeps; nothing if it is new.

    Raises:
        UsageError: If its record is damaged, or something else.
    """
    file = folder / RECORD
    if not file.exists():
        return ProbeResult()
    try:
        return ProbeResult.model_validate(read_record(file))
    except ValidationError as error:
        raise UsageError(
            f"{printable(file)} is no record of a probe: {printable(one_line(error))}",
            "move it away, or write elsewhere: --out DIR",
        ) from error


def write_result(folder: Path, result: ProbeResult) -> None:
    """Adds results to what a folder keeps."""
    whole = result.added_to(read_result(folder))
    write_text(folder / RECORD, whole.model_dump_json(by_alias=True, indent=2) + "\n")
