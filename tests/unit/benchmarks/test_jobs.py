"""A benchmark's job: what is not run again, and what is after a kill."""

import argparse
from pathlib import Path

import pytest

from benchmarks import jobs as jobs_module
from benchmarks.jobs import finished, run_once

TRAIN = ["distill", "--steps", "5"]
EVALUATE = ["evaluate"]


class Caller:
    """Stands for the command line; it is killed in the call of this number."""

    def __init__(self, run: Path, killed_in: int | None = None) -> None:
        self.run, self.killed_in = run, killed_in
        self.ran: list[str] = []

    def __call__(self, words: list[str], log: Path) -> float:
        self.ran.append(words[0])
        self.run.mkdir(exist_ok=True)
        if len(self.ran) == self.killed_in:
            raise KeyboardInterrupt
        (self.run / "evaluation.json").write_text("{}")
        return 1.0


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jobs_module, "loop_seconds", lambda _: 1)
    engine = argparse.Namespace(accelerator="cpu", precision="32-true")
    made = argparse.Namespace(
        composition=argparse.Namespace(trainable=9), config=argparse.Namespace(engine=engine)
    )
    monkeypatch.setattr(jobs_module, "open_run", lambda _: made)
    return tmp_path / "runs" / "kpu-seed0"


def test_a_job_runs_once_and_again_if_its_commands_change(run: Path) -> None:
    call = Caller(run)
    first = run_once(run, [TRAIN, EVALUATE], call)
    assert run_once(run, [TRAIN, EVALUATE], call) == first
    assert call.ran == ["distill", "evaluate"]
    other = ["distill", "--steps", "6"]
    run_once(run, [other, EVALUATE], call)
    assert call.ran == ["distill", "evaluate"] * 2
    again = run_once(run, [other, [*EVALUATE, "--limit", "3"]], call)
    assert call.ran == [*["distill", "evaluate"] * 2, "evaluate"]  # what was trained stays so
    assert again["seconds"] == 3.0


def test_a_job_that_was_killed_while_it_was_evaluated_is_not_trained_again(run: Path) -> None:
    call = Caller(run, killed_in=2)
    with pytest.raises(KeyboardInterrupt):
        run_once(run, [TRAIN, EVALUATE], call)
    assert finished(run, [TRAIN, EVALUATE]) is None
    assert run_once(run, [TRAIN, EVALUATE], call)["commands"] == [TRAIN, EVALUATE]
    assert call.ran == ["distill", "evaluate", "evaluate"]


def test_a_job_that_was_killed_while_it_was_trained_again_is_not_taken_for_trained(
    run: Path,
) -> None:
    call = Caller(run, killed_in=3)
    run_once(run, [TRAIN, EVALUATE], call)
    (run / "evaluation.json").unlink()
    run.rmdir()
    with pytest.raises(KeyboardInterrupt):
        run_once(run, [TRAIN, [*EVALUATE, "--limit", "3"]], call)
    run_once(run, [TRAIN, EVALUATE], call)
    assert call.ran == ["distill", "evaluate", "distill", "distill", "evaluate"]
