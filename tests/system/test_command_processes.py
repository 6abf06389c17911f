"""`kivfm distill` in several processes: started by itself, stopped, resumed by torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from apart import free_port
from toy_pictures import write_pictures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent
TEACHERS = (
    "--variant nano --teachers clip,dino --data pictures --batch-size 4 --image-size 64"
    " --steps 9999 --set optim.calibration=8 --set engine.accelerator=cpu"
)


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cwd / "home")}
    return subprocess.Popen(
        words, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def steps(run: Path) -> list[int]:
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["step"] for line in lines]


def test_two_processes_are_one_run(tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    words = [str(BIN / "kivfm"), "distill", *TEACHERS.split(), "--devices", "2", "--out", "run"]
    process, run = start(*words, "--strategy", "ddp", cwd=tmp_path), tmp_path / "run"
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
    process = start(str(BIN / "torchrun"), "--nproc-per-node=2", port, *going, cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("run: run\n") == 1 and err.count(f"resuming at step {done}") == 1
    assert steps(run)[-1] == done + 3 and (run / "student/student.safetensors").exists()
