"""A run that is made without a step of distillation, mostly from a finished one."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig, TeacherChoice
from kivfm_core.errors import UsageError
from kivfm_core.files import LOCK, only_writer, write_text
from kivfm_core.run_files import STUDENT_CARD, STUDENT_STATE, UNTRAINED, read_record
from kivfm_core.runs.run import Run
from kivfm_core.student.bundle import save_tensors, write_bundle
from kivfm_core.student.card import TrainedOn, trained_on
from kivfm_core.student.student import Student


def check_is_free(path: Path, *own: str) -> None:
    """Refuses a folder that is there already.

    Args:
        path: Where a new run is to be.
        own: What may be in it.

    Raises:
        UsageError: If anything else is.
    """
    # A lock alone is what a kill leaves.
    there = {p.name for p in path.iterdir()} if path.is_dir() else set[str]()
    if path.exists() and not (there and there <= {LOCK, *own}):
        raise UsageError(f"{path} is there already", f"choose another: --out {quote(f'{path}-2')}")


@contextmanager
def held(path: Path, again: str, *own: str) -> Generator[None]:
    """Holds a new run's folder until the run stands in its place; a failure leaves none.

    Args:
        path: The folder.
        again: The command that makes the run.
        own: What may be in it.

    Raises:
        UsageError: If the folder is there already, or another process is writing to it.
    """
    with only_writer(path, again):
        # What was looked at before may have changed until the folder was held.
        check_is_free(path, *own)
        try:
            yield
        except BaseException:
            (path / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                path.rmdir()
            raise


def write_derived(
    aside: Path,
    path: Path,
    students: tuple[Student, Student],
    config: RunConfig,
    facts: Mapping[str, Any],
    data: TrainedOn | None,
) -> Run:
    """Writes a run whose student was made without a step of distillation.

    Args:
        aside: The folder to fill.
        path: Where that will be.
        students: Its student before the first step, and as it is now.
        config: Its configuration.
        facts: What its environment says.
        data: The images that the student was distilled on, if they are known.
    """
    before, after = students
    new = Run(aside)
    new.write_plan(config, after.composition)
    write_text(new.environment_file, json.dumps(facts, indent=1))
    untrained = new.checkpoints / UNTRAINED
    untrained.mkdir(parents=True)
    save_tensors(before.trained(), untrained / STUDENT_STATE)
    write_bundle(after, new.bundle, path, data)
    return new


def data_of(run: Run) -> TrainedOn | None:
    """The images that a run's student was distilled on, if they are known."""
    return trained_on(read_record(run.bundle / STUDENT_CARD))


def config_for(plan: Composition, config: RunConfig, files: Mapping[str, str]) -> RunConfig:
    """A configuration with the teachers of another plan.

    Args:
        plan: The plan.
        config: The configuration that it was made from.
        files: The weights files that were given, by the teachers' full names.
    """
    names = [spec.name for spec in plan.teachers]
    weights = {name: file for name, file in files.items() if name in names}
    student = config.student.model_copy(update={"start": None})
    teachers = tuple(TeacherChoice(name=name) for name in names)
    return config.model_copy(update={"teachers": teachers, "weights": weights, "student": student})
