"""`kivfm distill` in several processes: started by itself, stopped, resumed by torchrun."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("which", [0, 1])
def test_when_one_process_is_lost_the_other_ends_and_says_so(tmp_path: Path, which: int):
    write_pictures(tmp_path / "pictures")
    process = start("kivfm", *DISTILL, "--devices", "2", "--strategy", "ddp", cwd=tmp_path)
    run = tmp_path / "run"
    while process.poll() is None and not steps(run):
        time.sleep(0.2)
    began = time.monotonic()
    os.kill([process.pid, *children(process.pid)][which], signal.SIGKILL)
    _, err = process.communicate(timeout=60)  # until every process has closed them: no orphan
    assert time.monotonic() - began < 15
    assert process.returncode == (1 if which else -signal.SIGKILL)
    assert err.count("error: ") == 1 and "Traceback" not in err
    assert f"error: process {which + 1} of 2 was lost" in err
    assert "hint: kivfm distill --resume run" in err

    going = ["distill", "--resume", "run", "--steps", "12", "--devices", "1"]
    process = start("kivfm", *going, cwd=tmp_path)
    _, err = process.communicate()
    assert process.returncode == 0 and steps(run)[-1] == 12, err


def children(pid: int) -> list[int]:
    """The other processes of a run that this one started; not those that load images."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(x) for x in found if b"distill" in Path(f"/proc/{x}/cmdline").read_bytes()]
