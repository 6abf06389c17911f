"""One distillation and its evaluation, through the command line; what is done stays done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.common import commit, kivfm, loop_seconds, machine
from kivfm_core.files import write_text
from kivfm_core.run import open_run


def run_once(run: Path, commands: list[list[str]], threads: int) -> dict[str, Any]:
    """Distills and evaluates, unless these very commands were finished before.

    Args:
        run: The run's folder; its log and its record lie beside it. An unfinished one is begun
            anew.
        commands: The words of `kivfm distill` and `kivfm evaluate`.
        threads: Of each process.

    Returns:
        The commands, the run's evaluation, the commit, the machine, trainable parameters and
        seconds.
    """
    file, log = (run.with_name(f"{run.name}{end}") for end in (".json", ".log"))
    if file.is_file():
        record = json.loads(file.read_text())
        if record["commands"] == commands:
            return record
    shutil.rmtree(run, ignore_errors=True)
    log.unlink(missing_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    seconds = [kivfm(*command, log=log, threads=threads) for command in commands]
    record = {
        "commands": commands,
        "commit": commit(),
        "machine": machine(),
        "trainable": open_run(run).composition.trainable,
        "train_seconds": loop_seconds(run),
        "seconds": sum(seconds),
        "evaluation": json.loads((run / "evaluation.json").read_text()),
    }
    write_text(file, json.dumps(record, indent=1))
    return record
