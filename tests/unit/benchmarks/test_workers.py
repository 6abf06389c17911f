"""The processes that run the proof's jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.method.changed_recipes import CHANGED_RECIPES
from benchmarks.method.workers import call, make_workers
from kivfm_core.config import build_config

SUITE = """
import os, time
from benchmarks.method.workers import make_workers
if __name__ == "__main__":
    with make_workers(1, 1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_a_worker_does_not_outlive_a_suite_that_was_killed(tmp_path: Path) -> None:
    file = tmp_path / "suite.py"
    file.write_text(SUITE)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    suite = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, env=env)
    assert suite.stdout is not None
    worker = int(suite.stdout.readline())
    os.kill(worker, 0)
    suite.send_signal(signal.SIGKILL)
    suite.communicate(timeout=100)  # ends when the worker has closed it, too


def test_a_worker_knows_the_ablations_recipes() -> None:
    with make_workers(1, 1) as pool:
        for name in CHANGED_RECIPES:
            made = pool.submit(build_config, None, {"teachers": "dino/nano", "recipe": name})
            assert made.result().recipe == name


def test_what_a_command_says_is_in_its_log_and_its_failure_is_told(tmp_path: Path) -> None:
    log, argv = tmp_path / "logs/a.log", sys.argv
    with pytest.raises(RuntimeError, match=f"evaluate ended with 2; see {log}"):
        call(["evaluate", str(tmp_path / "nothing"), "--data", "d"], log)
    assert "is no run folder" in log.read_text() and sys.argv is argv
