"""`kivfm distill` in several processes: started by itself, stopped, resumed by torchrun."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from apart import free_port
from command import DISTILL, start, steps
from toy_pictures import write_pictures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_two_processes_are_one_run(tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    words = [*DISTILL, "--devices", "2", "--strategy", "ddp"]
    process, run = start("kivfm", *words, cwd=tmp_path), tmp_path / "run"
    while process.poll() is None and not steps(run):
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()  # until every process has closed them
    assert process.returncode == 130, err
    assert out == "" and err.count("error: interrupted; the checkpoint is written") == 1
    done = int((run / "checkpoints/latest").read_text().removeprefix("step-"))
    assert done % 10 == 0 and steps(run) == [*range(10, done + 1, 10)]

    going = ["-m", "kivfm_cli.app", "distill", "--resume", "run", "--steps", str(done + 3)]
    port = f"--master-port={free_port()}"
    process = start("torchrun", "--nproc-per-node=2", port, *going, cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("run: run\n") == 1 and err.count(f"resuming at step {done}") == 1
    assert steps(run)[-1] == done + 3 and (run / "student/student.safetensors").exists()


def test_a_killed_first_process_leaves_none_behind(tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    process = start("kivfm", *DISTILL, "--devices", "2", "--strategy", "ddp", cwd=tmp_path)
    while process.poll() is None and not steps(tmp_path / "run"):
        time.sleep(0.2)
    process.kill()
    process.communicate(timeout=120)  # until the other one has closed them, too
    assert process.returncode == -signal.SIGKILL
