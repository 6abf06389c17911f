"""Files of prompts: JSON records, checked when they are read. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kivfm_core.data.formats.reading import read_json
from kivfm_core.errors import DataError, UsageError, printable, validation_lines
from kivfm_core.geometry import Click, MaskPrompt

EXAMPLE = '[{"image": "a.jpg", "points": [[120, 80], [40, 40]], "labels": [1, 0]}]'


class PromptRecord(BaseModel):
    """One prompt of a file.

    Attributes:
        image: Name of its image, or the end of its path; None for every image.
        points: Clicks `(x, y)` in the image's pixels.
        labels: Of each click, 1 on what is meant, 0 on what is not; None if all are 1.
        box: `(x0, y0, x1, y1)`, or None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    image: str | None = Field(default=None, min_length=1)
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] | None = None
    box: tuple[float, float, float, float] | None = None

    @model_validator(mode="after")
    def _fits(self) -> PromptRecord:
        if self.labels is not None and len(self.labels) != len(self.points):
            raise ValueError(f"labels: {len(self.labels)} for {len(self.points)} points")
        if {*(self.labels or ())} - {0, 1}:
            raise ValueError(f"labels: {list(self.labels or ())}, not 1 (inside) or 0 (outside)")
        if self.box is None and 1 not in (self.labels or (1,) * len(self.points)):
            raise ValueError("it has neither a point on its object nor a box")
        return self

    @property
    def prompt(self) -> MaskPrompt:
        """The prompt that it is."""
        labels = self.labels or (1,) * len(self.points)
        pairs = zip(self.points, labels, strict=True)
        return MaskPrompt(tuple(Click(x, y, label == 1) for (x, y), label in pairs), self.box)


@dataclass(frozen=True)
class PromptFile:
    """What a file of prompts holds.

    Attributes:
        path: The file.
        records: In its order.
    """

    path: Path
    records: tuple[PromptRecord, ...]

    def of(self, image: str | Path | None) -> tuple[MaskPrompt, ...]:
        """The prompts for an image.

        Args:
            image: Its path or name; None for an image that has none.

        Raises:
            UsageError: If there are none.
        """
        parts = Path(image).parts if image is not None else ()
        found = [record.prompt for record in self.records if _means(record.image, parts)]
        if not found:
            name = "an image without a name" if image is None else printable(image)
            raise UsageError(f"{printable(self.path)} has no prompt for {name}", EXAMPLE)
        return tuple(found)


def _means(image: str | None, parts: tuple[str, ...]) -> bool:
    """Whether a record's image is the one at a path, given by its parts."""
    own = Path(image).parts if image is not None else ()
    return len(own) <= len(parts) and own == parts[len(parts) - len(own) :]


def read_prompts(path: Path) -> PromptFile:
    """Reads a file of prompts.

    Raises:
        DataError: If it cannot be read, or a record is wrong; names file, record and value.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise DataError(f"{printable(path)} is not a list of prompts", EXAMPLE)
    items: list[Any] = content
    return PromptFile(path, tuple(_record(path, i, item) for i, item in enumerate(items)))


def _record(path: Path, index: int, item: Any) -> PromptRecord:
    try:
        return PromptRecord.model_validate(item)
    except ValidationError as error:
        told = printable(validation_lines(error)[0][:200])
        raise DataError(f"{printable(path)}, prompt {index}: {told}", EXAMPLE) from error
