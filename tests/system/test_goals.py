"""The configurations of `presets/goals`: each composes, and runs from random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from kivfm_core.registry.registry import get_registry
from tests.support.upstream import publish_depth, write

GOALS = Path(__file__).parents[2] / "presets/goals"
FILES = sorted(GOALS.glob("*.toml"))
PERMISSIVE = {"Apache-2.0", "BSD-3-Clause", "MIT"}
KIVFM = Path(sys.executable).with_name("kivfm")
each_goal = pytest.mark.parametrize("goal", FILES, ids=lambda file: file.stem)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's cache that has the one model whose plan is read from its repository."""
    folder = tmp_path_factory.mktemp("hub")
    publish_depth(folder)
    return folder


@pytest.fixture
def kivfm(cache: Path, tmp_path: Path):
    """Runs the real command without a network."""
    settings = {"HF_HUB_CACHE": str(cache), "KIVFM_OFFLINE": "1", "NO_COLOR": "1"}

    def kivfm(*words: str) -> str:
        done = subprocess.run(
            [str(KIVFM), *words],
            cwd=tmp_path,
            env=os.environ | settings,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return kivfm


@each_goal
def test_a_goal_composes_and_is_in_the_table(goal: Path, kivfm):
    plan = json.loads(kivfm("compose", "--config", str(goal), "--json"))
    assert plan["license"]["commercial_use"] == "yes"
    if goal.stem == "commercial-safe":
        assert {source["license"] for source in plan["license"]["sources"]} <= PERMISSIVE
    named = tomllib.loads(goal.read_text(encoding="utf-8"))["teachers"]
    table = (GOALS / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in table if line.startswith(f"| `{goal.name}` |")]
    assert row.endswith(f"| {', '.join(f'`{name}`' for name in named)} |")


@pytest.mark.slow
@pytest.mark.timeout(1500)
@each_goal
def test_a_goal_runs_from_random_weights(goal: Path, kivfm, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    for i in range(4):
        noise = Image.effect_noise((96 + 8 * i, 80), 90).convert("RGB")
        noise.save(tmp_path / f"photos/{i}.png")
    plan = json.loads(kivfm("compose", "--config", str(goal), "--json"))
    given: list[str] = []
    for name in plan["teachers"]:
        if not name.startswith("transformers/"):
            file = write(get_registry().resolve(name), tmp_path)
            given += ["--weights", f"{name}={file}"]
    kivfm(
        *("distill", "--config", str(goal), *given, "--data", "photos", "--out", "run"),
        *("--steps", "3", "--batch-size", "1", "--image-size", "224"),
        *("--set", "optim.micro_batch=1", "--set", "optim.calibration=4"),
        *("--set", "student.trunk_size=224"),
    )
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert lines and (tmp_path / "run/student/student.safetensors").is_file()
