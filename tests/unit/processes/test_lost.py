"""A process of a run that is lost is named, and nobody waits for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apart import start

from kivfm_core.processes import lost
from kivfm_core.processes.lost import Watch

CLOSED = RuntimeError("[.../gloo/transport/tcp/pair.cc] Connection closed by peer [127.0.0.1]")
SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


def watch(world: int = 2, rank: int = 0) -> Watch:
    where: Any = SimpleNamespace(
        strategy=SimpleNamespace(launcher=None),
        world_size=world, global_rank=rank, local_rank=rank,
    )  # fmt: skip
    return Watch(where, "kivfm distill --resume run")


@pytest.mark.parametrize("code", [-signal.SIGKILL, 1])
def test_the_process_that_is_lost_is_named(code: int):
    ours = watch(world=3)
    ends = SLEEPER if code < 0 else [sys.executable, "-S", "-c", "raise SystemExit(1)"]
    ours.children = [subprocess.Popen(SLEEPER), subprocess.Popen(ends)]
    if code < 0:
        ours.children[1].kill()
    ours.children[1].wait()
    how = "killed by SIGKILL" if code < 0 else "exit code 1"
    sentence = f"process 3 of 3 was lost ({how}); so the others ended, too"
    assert ours.lost() == ours.explain(CLOSED) == sentence
    ours.kill()
    assert [child.wait() for child in ours.children] == [-signal.SIGKILL, code]


def test_other_errors_keep_their_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lost, "KNOWN", 0.1)
    assert watch(world=1).explain(CLOSED) is None
    assert watch().explain(ValueError("gloo")) is None
    assert watch().explain(RuntimeError("shapes differ")) is None
    # Where others started the processes, they alone know which is lost.
    assert str(watch().explain(CLOSED)).startswith("another process of this run was lost: [")
    started = watch(rank=1)
    started.parent = 1  # not this process's parent: it is gone
    assert started.explain(CLOSED) == "process 1 of 2 was lost; so the others ended, too"
    monkeypatch.setattr(lost.os, "getppid", lambda: 1)
    assert started.explain(CLOSED) == ""  # the first one is there, and reports


def wait_for_a_lost_one(said: str) -> None:
    """As a process in a collective of a GPU: nothing tells it that another one is gone."""
    lost.GRACE = 0.2
    ours = watch()
    ours.children = [subprocess.Popen(SLEEPER), subprocess.Popen(SLEEPER)]
    Path(f"{said}.pid").write_text(str(ours.children[1].pid))
    ours.children[0].kill()
    with Path(said).open("w") as file, redirect_stderr(file):
        ours.start()
        time.sleep(600)


def test_nobody_waits_for_a_lost_process(tmp_path: Path):
    process = start(wait_for_a_lost_one, str(tmp_path / "said"))
    process.join(60)
    assert process.exitcode == 1
    said = (tmp_path / "said").read_text().splitlines()
    assert said == [
        "error: process 2 of 2 was lost (killed by SIGKILL); so the others ended, too",
        "hint: kivfm distill --resume run",
    ]
    other = Path("/proc") / (tmp_path / "said.pid").read_text() / "cmdline"
    assert not other.exists() or not other.read_bytes()  # no orphan
