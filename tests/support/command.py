"""The real command on pictures of two nano teachers, started and left to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kivfm_core.scenes.write import write_scenes

BIN = Path(sys.executable).parent
DISTILL = (
    "distill --variant nano --teachers clip,dino --data pictures --batch-size 4 --image-size 64"
    " --steps 9999 --set optim.calibration=8 --set engine.accelerator=cpu --out run"
).split()
# A run of seconds, on a folder of `write_few_scenes`.
TINY = (
    "--teachers dino,detector --variant nano --data scenes/train/images --image-size 64"
    " --batch-size 4 --steps 4 --set optim.calibration=8 --set engine.accelerator=cpu"
    " --set data.views=2"
)


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


def write_few_scenes(folder: Path) -> None:
    """Writes a few scenes with labels, as `kivfm scenes` does, but no images of classes."""
    write_scenes(folder, train=12, val=4, per_class=0)
