"""A page's part about a student's heads: what each learned from, and its scores by step."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from kivfm_core.composition.composition import Composition
from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.registry.heads import is_head
from kivfm_core.run_files import RunFiles, read_record
from kivfm_core.runs.heads import record_file


class _Settings(BaseModel):
    model_config = ConfigDict(extra="ignore")

    task: str
    kind: str
    data: str
    val: str


class TrainedHead(BaseModel):
    """A head's record; see `heads/NAME.json` in a run folder."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    settings: _Settings
    classes: list[str]
    images: int
    metric: str
    score: float
    best_step: int
    steps: int
    scores: list[tuple[int, float]]


def read_heads(run: RunFiles, plan: Composition) -> dict[str, TrainedHead | None]:
    """The heads of a run's student by name, `head/NAME`; None where there is no record of one.

    Raises:
        UsageError: If a record is damaged.
    """
    return {spec.name: _read(run, spec.name) for spec in plan.teachers if is_head(spec)}


def _read(run: RunFiles, name: str) -> TrainedHead | None:
    file = record_file(run, name)
    record = read_record(file)
    try:
        return TrainedHead.model_validate(record) if record else None
    except (ValidationError, RecursionError) as error:
        raise UsageError(f"{printable(file)} is damaged: {printable(one_line(error))}") from error
