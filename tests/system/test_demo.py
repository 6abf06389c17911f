"""What `make demo` runs, the very script, shortened: fewer images and steps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kivfm_core.scenes.render import render
from kivfm_core.scenes.vocabulary import DOMAINS
from kivfm_core.scenes.write import VAL_START

SCRIPT = Path(__file__).parents[2] / "scripts/demo.sh"


def test_the_click_is_on_an_object():
    image, x, y = re.search(
        r"images/0*(\d+)\.jpg.*--points (\d+),(\d+)", SCRIPT.read_text(), re.DOTALL
    ).groups()
    index = int(image)
    scene = render(0, VAL_START + index, DOMAINS[index % len(DOMAINS)])
    assert scene.semantic[int(y), int(x)] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_student_improves_at_every_task_and_keeps_its_base(tmp_path: Path):
    size = {"STEPS": "250", "TRAIN": "250", "VAL": "60", "RUN": "runs/short"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(SCRIPT)], cwd=tmp_path, env={**os.environ, **size, "PATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = tmp_path / size["RUN"]
    evaluation = json.loads((run / "evaluation.json").read_text())
    purpose = [row for row in evaluation["rows"] if not row["base"]]
    assert {row["task"] for row in purpose} == {
        "zero-shot", "promptable-segmentation", "detection", "instance-segmentation",
        "semantic-segmentation",
    }  # fmt: skip
    for row in purpose:
        assert row["student_score"] > row["untrained_score"], row
    (knn,) = (row for row in evaluation["base"] if row["metric"].startswith("k-NN"))
    assert knn["student_score"] > knn["base_score"] - 0.02
    assert "The student beside its teachers" in done.stdout
    tasks = {row["task"] for row in purpose} - {"zero-shot"}
    assert {file.stem for file in (run / "predictions").iterdir()} == tasks
