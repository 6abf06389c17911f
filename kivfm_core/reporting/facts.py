"""What a page says of a run beside its scores and curves: the student, time, and how to redo it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from math import ceil
from pathlib import Path, PurePath
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import WORK
from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.reporting.heads import TrainedHead, read_heads
from kivfm_core.run_files import RunFiles
from kivfm_core.spec import Level, TeacherSpec

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Learned:
    """A teacher, as a page describes it.

    Attributes:
        spec: What it declares.
        role: `base`, `frozen` if an earlier student learned it, or `teacher`.
        levels: Its levels with their shapes, and the parameters of the maps to them.
        side: The side of its canvases in training, in pixels.
        weights: Source and sha256 of its weights; empty before they were loaded.
        native: Whether the base gives all of its levels, so that there is nothing to learn.
    """

    spec: TeacherSpec
    role: str
    levels: tuple[tuple[str, str, int], ...]
    side: int
    weights: dict[str, str]
    native: bool


class Cost(BaseModel):
    """A part of a run's work; see `costs.json`."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    name: str
    answers: str = ""
    took_views: int | None = None
    seconds: float | None = None
    took_seconds: float | None = None

    @property
    def words(self) -> str:
        """What the work is."""
        return WORK.get(self.name, self.name)


class _Costs(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    device: str | None = None
    predicted_seconds: float | None = None
    took_seconds: float
    failed: str | None = None
    costs: list[Cost] = []


class _Made(BaseModel):
    """What a run was made with; see `environment.json`."""

    model_config = ConfigDict(extra="ignore")

    argv: list[str] = []
    seed: int | None = None
    python: str = ""
    platform: str = ""
    packages: dict[str, str] = {}
    distributions: dict[str, Any] = {}
    weights: dict[str, dict[str, Any]] = {}
    changes: list[str] = []


@dataclass(frozen=True)
class Facts:
    """What a run's records say, but for its scores and curves.

    Attributes:
        plan: The student's plan.
        teachers: The teachers, in the order given.
        heads: The heads by name, with what is recorded of each.
        made: What the run was made with.
        costs: What it cost; None before its end.
        config: Its configuration, as TOML.
        steps: The number of steps that it is to make; None if it does not say.
        is_done: Whether its student is written.
    """

    plan: Composition
    teachers: tuple[Learned, ...]
    heads: dict[str, TrainedHead | None]
    made: _Made
    costs: _Costs | None
    config: str
    steps: int | None
    is_done: bool

    @property
    def features(self) -> list[tuple[str, str]]:
        """The student's own features with their shapes, on its first canvas in training."""
        side, maps = self.plan.image_size[0], self.plan.maps
        dense = [(known.name, Level(kind="dense", **known.model_dump())) for known in maps]
        return [("x", str(self.plan.x_channels)), *((name, _shape(m, side)) for name, m in dense)]

    @property
    def command(self) -> str:
        """The command line that began the run; empty if it is not known."""
        if not self.made.argv:
            return ""
        return shlex.join([PurePath(self.made.argv[0]).name, *self.made.argv[1:]])

    @property
    def rest(self) -> float:
        """Seconds that the run took beside the parts that were measured."""
        if self.costs is None:
            return 0.0
        return self.costs.took_seconds - sum(cost.took_seconds or 0 for cost in self.costs.costs)


def read_facts(run: RunFiles) -> Facts:
    """Reads a run's records. Nothing is built from them, so no teacher need be installed.

    Raises:
        UsageError: If the folder is no run, or a record is damaged.
    """
    run.check_is_run()
    config = run.read_config()
    plan = _as(Composition, run.read_composition(), run.composition_file)
    made = _as(_Made, run.environment, run.environment_file)
    costs = run.costs
    return Facts(
        plan=plan,
        teachers=tuple(_describe(plan, spec, made) for spec in plan.distilled),
        heads=read_heads(run, plan),
        made=made,
        costs=_as(_Costs, costs, run.costs_file) if costs else None,
        config=tomli_w.dumps(config),
        steps=config.get("optim", {}).get("steps"),
        is_done=run.has_student,
    )


def _as(shape: type[Shape], record: dict[str, Any], file: Path) -> Shape:
    try:
        return shape.model_validate(record)
    except (ValidationError, RecursionError) as error:
        raise UsageError(f"{printable(file)} is damaged: {printable(one_line(error))}") from error


def _describe(plan: Composition, spec: TeacherSpec, made: _Made) -> Learned:
    maps = {a.level.name: a for a in plan.aligners if a.teacher == spec.name}
    role = "base" if spec.name == plan.base else "teacher"
    side = plan.side(spec)
    return Learned(
        spec=spec,
        role="frozen" if spec.name in plan.frozen_teachers else role,
        levels=tuple(
            (level.name, _shape(level, side), maps[level.name].parameters)
            for level in spec.levels
            if level.name in maps
        ),
        side=side,
        weights={key: str(value) for key, value in made.weights.get(spec.name, {}).items()},
        native=bool(maps) and all(a.native for a in maps.values()),
    )


def _shape(level: Level, side: int) -> str:
    """A level's shape on a square canvas: channels, and the sides of the grid."""
    if level.stride is None:
        return str(level.channels)
    cells = ceil(side / level.stride) if level.rounding == "ceil" else side // level.stride
    return f"{level.channels} x {cells} x {cells}"
