"""A run that is killed, again and again, makes the student that it would have made in one go."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from apart import distill_toys, start
from toy_tars import tar_folder

STUDENT = "student/student.safetensors"
WRITES = 150
"""About as many times as a whole run writes to its folder."""


def lives(values: dict, run: Path, kill_at: int | None = None, after: float | None = None) -> bool:
    """Whether a process comes to the end of a run before it is killed."""
    process = start(distill_toys, values, str(run), kill_at)
    process.join(after)
    process.kill()
    process.join()
    code = process.exitcode
    process.close()
    assert code in (0, -9), "it died of itself"
    return code == 0


def losses(run: Path) -> list[tuple[int, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def same(run: Path, whole: Path) -> bool:
    assert losses(run) == losses(whole)
    assert not [path for path in run.rglob("*") if path.name.endswith((".partial", ".old"))]
    return (run / STUDENT).read_bytes() == (whole / STUDENT).read_bytes()


@pytest.mark.parametrize("packed", [False, True])
def test_killed_while_it_writes(values: dict, tmp_path: Path, packed: bool):
    if packed:
        pictures = Path(values["data"]["path"])
        values["data"]["path"] = str(tar_folder(pictures, tmp_path / "shard.tar"))
    assert lives(values, tmp_path / "whole")
    for kill_at in (25,) if packed else (12, 25, 40):
        assert not lives(values, tmp_path / "cut", kill_at)
    assert lives(values, tmp_path / "cut")
    assert same(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_thirty_times(values: dict, tmp_path: Path):
    began = time.monotonic()
    assert lives(values, tmp_path / "whole")
    seconds = time.monotonic() - began
    draw, runs, kills = random.Random(0), 1, 0
    while kills < 30:
        run = tmp_path / f"cut-{runs}"
        # By turns at one of its writes, checkpoints' above all, and at any time.
        kill_at, after = draw.randrange(WRITES // 3), seconds * draw.random() / 2
        if lives(values, run, *((kill_at, None) if kills % 2 else (None, after))):
            assert same(run, tmp_path / "whole")
            runs += 1
        else:
            kills += 1
    run = tmp_path / f"cut-{runs}"
    assert lives(values, run)
    assert same(run, tmp_path / "whole")
