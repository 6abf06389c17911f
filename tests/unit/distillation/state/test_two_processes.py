"""Two real processes at one run folder: one is right, the other is refused with a sentence."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from apart import start, take_place

from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.runs.delete import delete_run
from kivfm_core.runs.remove_teacher import remove_teacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def held_by(values: dict[str, Any], run: Path, tmp_path: Path):
    """A process in the midst of `distill`, or of `distill --resume` where there is a run."""
    process = start(take_place, values, str(run), str(tmp_path / "at work"))
    while not (tmp_path / "at work").exists():
        assert process.exitcode is None
        process.join(0.05)
    return process


def test_a_run_that_is_made_is_not_begun_resumed_or_deleted(config: RunConfig, tmp_path: Path):
    values, path = config.model_dump(by_alias=True, exclude_none=True), tmp_path / "run"
    process = held_by(values, path, tmp_path)
    for again in ({"config": config, "out": path}, {"resume": path}):
        with pytest.raises(UsageError, match="another process is writing"):
            distill(**again)
    with pytest.raises(UsageError, match="another process is writing"):
        delete_run(path)
    os.kill(process.pid or 0, signal.SIGKILL)  # its hold dies with it
    process.join()
    assert distill(resume=path) == path
    delete_run(path)
    assert not path.exists()


def test_a_run_that_is_resumed_is_not_resumed_measured_or_read(config: RunConfig, tmp_path: Path):
    values, path = config.model_dump(by_alias=True, exclude_none=True), tmp_path / "run"
    distill(config, out=path)
    process = held_by(values, path, tmp_path)
    data = str(tmp_path / "pictures")
    for work in (
        lambda: distill(resume=path, steps=8),
        lambda: evaluate(path, [data]),
        lambda: remove_teacher(path, "toypurpose/small", tmp_path / "less"),
        lambda: delete_run(path),
    ):
        with pytest.raises(UsageError, match="another process is writing"):
            work()
    assert not (path / "evaluation.json").exists() and not (tmp_path / "less").exists()
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert distill(resume=path, steps=8) == path
