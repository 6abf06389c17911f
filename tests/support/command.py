"""The real command on pictures of two nano teachers, started and left to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

BIN = Path(sys.executable).parent
DISTILL = (
    "distill --variant nano --teachers clip,dino --data pictures --batch-size 4 --image-size 64"
    " --steps 9999 --set optim.calibration=8 --set engine.accelerator=cpu --out run"
).split()


def start(
    command: str, *words: str, cwd: Path, told: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Starts one of this environment's commands.

    Args:
        command: Its name.
        words: Its arguments.
        cwd: Where.
        told: Environment variables.
    """
    here = {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cwd / "home")}
    return subprocess.Popen(
        [str(BIN / command), *words],
        cwd=cwd, env={**os.environ, **here, **(told or {})}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def steps(run: Path) -> list[int]:
    """Those that a run has recorded."""
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["step"] for line in lines]
