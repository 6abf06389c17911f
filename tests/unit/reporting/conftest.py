from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.run_files import COSTS, ENVIRONMENT, EVALUATION, METRICS, RunFiles
from kivfm_core.runs.run import Run

BASE, PURPOSE = "toybase/small", "toypurpose/small"


@pytest.fixture
def unfinished(config: RunConfig, composition: Composition, tmp_path: Path) -> RunFiles:
    """A run of toy teachers that has only begun."""
    run = Run(tmp_path / "toy-run")
    run.write_plan(config, composition)
    return RunFiles(run.path)


@pytest.fixture
def write(unfinished: RunFiles) -> Callable[..., None]:
    """Writes a record into the run."""

    def write(name: str, content: Any) -> None:
        file = unfinished.path / name
        file.parent.mkdir(exist_ok=True)
        text = "\n".join(map(json.dumps, content)) if name == METRICS else json.dumps(content)
        file.write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def finished(unfinished: RunFiles, write: Callable[..., None]) -> RunFiles:
    """The same run at its end, evaluated."""
    write(METRICS, lines())
    write("student/student.json", {})
    write(EVALUATION, evaluation())
    write(
        COSTS,
        {
            "took_seconds": 90.0,
            "device": "a tin can",
            "costs": [
                {"name": PURPOSE, "answers": "cached", "took_views": 321, "took_seconds": 30.0},
                {"name": "learning", "took_seconds": 45.0},
            ],
        },
    )
    write(
        ENVIRONMENT,
        {
            "argv": ["/somewhere/bin/kivfm", "distill", "--out", "my run"],
            "seed": 7,
            "packages": {"kivfm": "0.1.0", "torch": "9.8.7"},
            "weights": {BASE: {"source": "hub:base", "sha256": "ab" * 32, "keys": 3}},
        },
    )
    return unfinished


def lines() -> list[dict[str, Any]]:
    """Steps with losses of both teachers, and gradients twice."""
    made: list[dict[str, Any]] = [
        {"step": step, "losses": {BASE: 1e-5 * step, PURPOSE: 1 / step}} for step in (10, 20, 30)
    ]
    made[0]["untrained"] = {BASE: 1e-7, PURPOSE: 2.5}
    for line, norm in ((made[0], 0.125), (made[2], 0.0625)):
        line["pulls"] = {BASE: norm / 100, PURPOSE: norm, f"{BASE}, {PURPOSE}": -0.5}
    return made


def evaluation() -> dict[str, Any]:
    """Two rows, of which one has intervals and is named by a stranger."""
    rows = [
        {
            **{"teacher": PURPOSE, "task": "classification", "metric": "top-1", "data": "val"},
            **{"pictures": 123, "bad": 4, "objects": 119, "chance_score": 0.333},
            **{"teacher_score": 0.912, "untrained_score": 0.401, "student_score": 0.833},
            **{"retention": 0.9134, "gain": 0.8454},
            **{"teacher_interval": [0.881, 0.937], "student_interval": [0.792, 0.871]},
            "retention_interval": [0.8712, 0.9561],
        },
        {
            **{"teacher": PURPOSE, "task": "semantic-segmentation", "metric": "mIoU"},
            **{"data": "val", "pictures": 77, "teacher_score": 0.654, "student_score": 0.321},
            **{"retention": 0.4908, "gain": None},
        },
    ]
    return {
        "rows": rows,
        "base": [{"metric": "k-NN", "data": "val", "base_score": 0.777, "student_score": 0.766}],
        "summary": {
            **{"retention_mean": 0.7021, "retention_min": 0.4908},
            **{"gain_mean": 0.8454, "gain_min": 0.8454},
        },
        "skipped": [f"{BASE}, knn: no data for it"],
    }
