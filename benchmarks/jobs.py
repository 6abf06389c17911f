"""One run and its evaluation, through the command line; what is done stays done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import commit, loop_seconds, machine
from kivfm_core.files import write_text
from kivfm_core.runs.run import open_run

Commands = list[list[str]]


def finished(run: Path, commands: Commands) -> dict[str, Any] | None:
    """The record of a run that was made and evaluated with these very commands."""
    record = _read(run)
    return record if record and record["commands"] == commands else None


def run_once(
    run: Path, commands: Commands, call: Callable[[list[str], Path], float]
) -> dict[str, Any]:
    """Trains and evaluates, unless these very commands were finished before.

    Args:
        run: The run's folder; its log and its record lie beside it. One whose training is
            unfinished is begun anew; one that was trained by this very command is only evaluated.
        commands: What trains the student, and what evaluates it.
        call: Runs a command, which adds to a log; seconds.

    Returns:
        The commands, the run's evaluation, the commit that it was trained at, what it ran on,
        trainable parameters and seconds.
    """
    train, evaluate = commands
    known = _read(run)
    if known and known["commands"] == commands:
        return known
    file, log = (run.with_name(f"{run.name}{end}") for end in (".json", ".log"))
    if not known or known["commands"][0] != train or not run.is_dir():
        shutil.rmtree(run, ignore_errors=True)
        for stale in (file, log):  # else a run that is killed in training would pass for trained
            stale.unlink(missing_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        seconds = call(train, log)
        made = open_run(run)
        known = {
            "commands": [train],
            "commit": commit(),
            "machine": _describe(made.config.engine.accelerator, made.config.engine.precision),
            "trainable": made.composition.trainable,
            "train_seconds": loop_seconds(run),
            "seconds": seconds,
        }
        write_text(file, json.dumps(known, indent=1))
    # Results are added to what is there; the record is of these commands alone.
    (run / "evaluation.json").unlink(missing_ok=True)
    seconds = known["seconds"] + call(evaluate, log)
    evaluation = json.loads((run / "evaluation.json").read_text())
    record = {**known, "commands": commands, "seconds": seconds, "evaluation": evaluation}
    write_text(file, json.dumps(record, indent=1))
    return record


def _read(run: Path) -> dict[str, Any] | None:
    file = run.with_name(f"{run.name}.json")
    return json.loads(file.read_text()) if file.is_file() else None


def _describe(accelerator: str, precision: str) -> str:
    """What a run was trained on, and in which precision; evaluation is the processor's."""
    where = machine()
    gpu = where["gpu"] if accelerator != "cpu" else None
    cores = f"{where['processor']}, {where['cores']} cores"
    return f"{gpu or 'no GPU'}, {cores}, {precision}, torch {where['torch']}"
