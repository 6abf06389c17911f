"""The layout of a run folder: the names of its files, and how its records are read. Torch-free.

`docs/reference/run-folder.md` describes what the files hold.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.files import LOCK, is_link, is_partial

# In a run folder.
CONFIG = "config.toml"
COMPOSITION = "composition.json"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"
TRACKED = "trackers.json"
BAD_STEPS = "bad-steps"
CHECKPOINTS = "checkpoints"
BUNDLE = "student"
COSTS = "costs.json"
EVALUATION = "evaluation.json"
REPORT = "report.html"
REPORT_RECORD = "report.json"

# In the folder of checkpoints, and in each of them.
CHECKPOINT = re.compile("step-[0-9]{6,18}")
LATEST = "latest"
OPTIMIZER_STATE = "optimizer.safetensors"
RANDOM_STATE = "rng.safetensors"
CHECKPOINT_CARD = "state.json"

# In checkpoints and in the student's folder alike.
STUDENT_STATE = "student.safetensors"

# In the student's folder.
STUDENT_CARD = "student.json"
DECODERS = "decoders"

# What a folder may hold that is no run yet, beside files that were being written: all that a try
# leaves which failed, or was killed, before the aligners were fitted.
PLAN = {COMPOSITION, CONFIG}


def slug(teacher: str) -> str:
    """A teacher's name as a file name."""
    return teacher.replace("/", "--")


def checkpoint_name(step: int) -> str:
    """The folder of the checkpoint after so many steps."""
    return f"step-{step:06d}"


def checkpoint_steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, sorted as numbers: names grow after a million.

    What has another name than a checkpoint (`step-000030.bak`) is the user's own.
    """
    names = [p.name for p in folder.glob("step-*") if p.is_dir() and not p.is_symlink()]
    return sorted(int(name.removeprefix("step-")) for name in names if CHECKPOINT.fullmatch(name))


def is_whole(checkpoint: Path) -> bool:
    """Whether a run can be resumed from a checkpoint: all of its files are there."""
    files = (STUDENT_STATE, OPTIMIZER_STATE, RANDOM_STATE, CHECKPOINT_CARD)
    return all((checkpoint / name).is_file() for name in files)


# The checkpoint of step 0 is never removed: it holds the student before its first step.
UNTRAINED = checkpoint_name(0)


class _Shape(BaseModel):
    """What a record must hold, as far as it is read here.

    A run may come from a stranger, or from another version: further fields are not looked at.
    """

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _Teacher(_Shape):
    name: str


class _Composition(_Shape):
    teachers: list[_Teacher]
    base: str | None


class _Optim(_Shape):
    steps: int | None = None


class _Config(_Shape):
    student: dict[str, Any] = {}
    data: dict[str, Any] = {}
    optim: _Optim = _Optim()
    engine: dict[str, Any] = {}
    cache: dict[str, Any] = {}


class _Weights(_Shape):
    source: str
    sha256: str
    keys: int


class _Environment(_Shape):
    weights: dict[str, _Weights] = {}
    round_trip: dict[str, float] = {}
    shared: dict[str, Any] = {}
    pictures: str = ""
    configuration: _Config | None = None
    argv: list[str] = []
    changes: list[str] = []
    earlier: list[list[str]] = []


class _Costs(_Shape):
    took_seconds: float
    predicted_seconds: float | None = None
    failed: str | None = None


class _Tracked(_Shape):
    runs: dict[str, str]


class _Row(_Shape):
    teacher: str
    task: str
    metric: str
    data: str = ""
    teacher_score: float | None = None
    untrained_score: float | None = None
    student_score: float | None = None
    retention: float | None
    gain: float | None
    bound_score: float | None = None
    bad: int = 0


class _BaseRow(_Shape):
    metric: str
    data: str = ""
    base_score: float | None = None
    student_score: float | None = None
    bad: int = 0


class _Summary(_Shape):
    retention_mean: float | None
    retention_min: float | None
    gain_mean: float | None
    gain_min: float | None


class _Evaluation(_Shape):
    rows: list[_Row]
    base: list[_BaseRow]
    summary: _Summary
    skipped: list[str] = []


class _Checkpoint(_Shape):
    step: int = Field(ge=0, lt=10**18)


@dataclass(frozen=True)
class RunFiles:
    """A run folder as files: paths and records, without the models that they describe."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.path / CONFIG

    @property
    def composition_file(self) -> Path:
        """The student's plan."""
        return self.path / COMPOSITION

    @property
    def environment_file(self) -> Path:
        """What the run was made with."""
        return self.path / ENVIRONMENT

    @property
    def costs_file(self) -> Path:
        """What the run was predicted to cost, and did cost."""
        return self.path / COSTS

    @property
    def evaluation_file(self) -> Path:
        """The latest evaluation."""
        return self.path / EVALUATION

    @property
    def checkpoints(self) -> Path:
        """The checkpoints' folder."""
        return self.path / CHECKPOINTS

    @property
    def bundle(self) -> Path:
        """The student's folder."""
        return self.path / BUNDLE

    @property
    def is_run(self) -> bool:
        """Whether a run was begun here: both halves of its plan are written."""
        return self.composition_file.is_file() and self.config_file.is_file()

    @property
    def has_student(self) -> bool:
        """Whether the run came to its end, and wrote its student."""
        return (self.bundle / STUDENT_CARD).is_file()

    @property
    def is_new(self) -> bool:
        """Whether nothing is lost if a run begins here: there is at most a plan."""
        if not self.path.is_dir():
            return not self.path.exists()
        names = {path.name for path in self.path.iterdir() if not is_partial(path.name)} - {LOCK}
        # A configuration without the composition, which is written first, is the user's own.
        return names.issubset(PLAN) and (CONFIG not in names or COMPOSITION in names)

    @property
    def steps(self) -> int:
        """Steps made, as far as they are saved."""
        return max(checkpoint_steps(self.checkpoints), default=0)

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was made with; empty before its aligners are fitted."""
        return _checked(read_record(self.environment_file), _Environment, self.environment_file)

    @property
    def costs(self) -> dict[str, Any]:
        """What the run was predicted to cost, and did cost; empty before its end."""
        return _checked(read_record(self.costs_file), _Costs, self.costs_file)

    @property
    def trackers(self) -> dict[str, str]:
        """What each tracker calls the run, by the tracker's name; empty if none was told of it."""
        file = self.path / TRACKED
        return _checked(read_record(file), _Tracked, file).get("runs", {})

    @property
    def evaluation(self) -> dict[str, Any]:
        """The latest evaluation; empty if there is none."""
        return _checked(read_record(self.evaluation_file), _Evaluation, self.evaluation_file)

    def read_config(self) -> dict[str, Any]:
        """The configuration as tables, not validated but for what is read from them here.

        Raises:
            UsageError: If it is damaged.
        """
        file = self.config_file
        text = _read_own(file) or b""
        try:
            content = tomllib.loads(text.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _damaged(file, error) from error
        return _checked(content, _Config, file)

    def read_composition(self) -> dict[str, Any]:
        """The student's plan as JSON, not validated but for its teachers' names.

        Raises:
            UsageError: If it is damaged.
        """
        file = self.composition_file
        return _checked(read_record(file) or {"": None}, _Composition, file)

    def check_is_new(self) -> None:
        """Refuses a folder in which a new run would replace something.

        Raises:
            UsageError: If it is not empty.
        """
        if self.is_new:
            return
        other = f"--out {quote(str(self.path).rstrip('/') + '-2')}"
        if not self.is_run:
            raise UsageError(
                f"{printable(self.path)} is not empty, and no run", f"choose another: {other}"
            )
        resume = f"kivfm distill --resume {quote(str(self.path))}"
        raise UsageError(
            f"the run folder {printable(self.path)} is not empty",
            f"go on with it: {resume}; or choose another: {other}",
        )

    def check_is_run(self) -> None:
        """Refuses a folder that is no run.

        Raises:
            UsageError: Naming the runs beside it.
        """
        if not self.is_run:
            runs = [str(run.path) for run in list_runs(self.path.parent)]
            hint = f"one of: {', '.join(runs)}" if runs else "kivfm distill --out RUN makes one"
            raise UsageError(f"{self.path} is no run folder", hint)


def list_runs(folder: Path) -> list[RunFiles]:
    """The runs in a folder, sorted by name; with the folders in it that cannot be looked into."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [RunFiles(path) for path in paths if not is_partial(path.name) and _may_be_run(path)]


def _may_be_run(path: Path) -> bool:
    try:
        return (path / COMPOSITION).exists()
    except PermissionError:
        return True


def read_checkpoint_card(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint's folder says of it.

    Raises:
        UsageError: If that is missing or damaged.
    """
    file = checkpoint / CHECKPOINT_CARD
    return _checked(read_record(file) or {"": None}, _Checkpoint, file)


def read_record(file: Path) -> dict[str, Any]:
    """A record of a run or bundle, which may come from a stranger.

    Args:
        file: A JSON file; a link is not followed.

    Returns:
        Its content; empty if there is no such file.

    Raises:
        UsageError: If it is damaged, or is no record.
    """
    text = _read_own(file)
    if text is None:
        return {}
    try:
        content: Any = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict):
        raise UsageError(f"{printable(file)} is damaged: it holds no record")
    return cast(dict[str, Any], content)


def _read_own(file: Path) -> bytes | None:
    """The bytes of a folder's own file; None if there is none, or a link or pipe in its place."""
    try:
        return file.read_bytes() if file.is_file() and not is_link(file) else None
    except OSError as error:
        raise UsageError(f"cannot read {printable(file)}: {error.strerror}") from error


def _checked(content: dict[str, Any], shape: type[BaseModel], file: Path) -> dict[str, Any]:
    """A record as it is; refused unless it is empty or of the shape."""
    try:
        _ = shape.model_validate(content) if content else None
    except (ValidationError, RecursionError) as error:
        raise _damaged(file, error) from error
    return content


def _damaged(file: Path, error: Exception) -> UsageError:
    return UsageError(f"{printable(file)} is damaged: {printable(one_line(error))}")
