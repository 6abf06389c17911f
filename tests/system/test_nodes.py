"""`kivfm distill` on two nodes: tasks that SLURM starts and preempts, then torchrun's agents.

Both nodes are this machine: their processes are told what `srun` and torchrun tell them.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from apart import free_port
from command import DISTILL, start, steps
from toy_pictures import write_pictures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def srun(*words: str, cwd: Path) -> list[subprocess.Popen[str]]:
    """One task on each of two nodes, with the variables of `srun --ntasks-per-node=1`."""
    job = {
        "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "kivfm", "SLURM_NODELIST": "localhost",
        "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2",
        "SLURM_LOCALID": "0", "MASTER_PORT": str(free_port()),
    }  # fmt: skip
    own = [{"SLURM_PROCID": rank, "SLURM_NODEID": rank} for rank in ("0", "1")]
    return [start(*words, cwd=cwd, told=job | task) for task in own]


def test_two_nodes_are_one_run(tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    run = tmp_path / "run"
    tasks = srun("kivfm", *DISTILL, "--nodes", "2", "--devices", "1", cwd=tmp_path)
    while all(task.poll() is None for task in tasks) and not steps(run):
        time.sleep(0.2)
    for task in tasks:
        task.send_signal(signal.SIGUSR1)  # as `--signal=USR1@120` has it
    said = [task.communicate() for task in tasks]
    assert [task.returncode for task in tasks] == [130, 130], said
    assert sum(err.count("error: interrupted; the checkpoint is written") for _, err in said) == 1
    done = int((run / "checkpoints/latest").read_text().removeprefix("step-"))
    assert done % 10 == 0 and steps(run) == [*range(10, done + 1, 10)]

    going = ["-m", "kivfm_cli.app", "distill", "--resume", "run", "--steps", str(done + 3)]
    meet = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}"]
    node = ["torchrun", "--nnodes=2", "--nproc-per-node=1", *meet, *going]
    agents = [start(*node, cwd=tmp_path) for _ in range(2)]
    said = [agent.communicate() for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    assert sum(out.count("run: run\n") for out, _ in said) == 1
    assert sum(err.count(f"resuming at step {done}") for _, err in said) == 1
    assert steps(run)[-1] == done + 3 and (run / "student/student.safetensors").exists()
