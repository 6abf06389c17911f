"""Two processes with half of the parameters each learn what they do with all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from apart import distill_together
from safetensors.torch import load_file

LAST = "checkpoints/step-000003"
FILES = (f"{LAST}/student", f"{LAST}/optimizer", "student/student")


def assert_equal(one: Path, two: Path, rtol: float = 0.0, atol: float = 0.0) -> None:
    for name in FILES:
        first, second = (load_file(run / f"{name}.safetensors") for run in (one, two))
        torch.testing.assert_close(second, first, rtol=rtol, atol=atol)


def last_metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.mark.parametrize(
    ("optim", "student", "engine"),
    [
        # Norms are summed up in another order, and Muon orthogonalizes in bfloat16: where a
        # momentum's last bit tips a rounding there, weights are a hundredth of a step apart.
        ({"optimizer": "muon", "clip": 1e9, "lr": 1e-4}, {}, {}),
        (
            {"optimizer": "adamw", "lr": 1e-3},
            {"model": "toybase"},
            {"activation_checkpointing": True},
        ),
    ],
)
def test_parts_equal_the_whole(
    values: dict, tmp_path: Path, optim: dict, student: dict, engine: dict
):
    values["optim"] |= {"steps": 3, "micro_batch": 1} | optim
    values["student"] |= student
    values["checkpoint"]["keep"] = 9
    whole, parts = tmp_path / "ddp", tmp_path / "fsdp"
    for run in (whole, parts):
        values["engine"] = {"devices": 2, "strategy": run.name} | engine
        distill_together(values, run, 2)
    assert_equal(whole, parts, rtol=1e-4, atol=1e-5)
    for what in ("loss", "pulls"):
        expected = pytest.approx(last_metrics(whole)[what], rel=1e-5)
        assert last_metrics(parts)[what] == expected

    # Stopped after a step, it goes on with parts or without.
    for strategy in ("fsdp", "ddp"):
        run = tmp_path / f"{strategy}-again"
        shutil.copytree(parts, run)
        for name in ("checkpoints/step-000002", LAST, "student"):
            shutil.rmtree(run / name)
        (run / "checkpoints/latest").write_text("step-000001")
        text = (run / "config.toml").read_text()
        (run / "config.toml").write_text(text.replace('"fsdp"', f'"{strategy}"'))
        distill_together(values, run, 2)
        assert_equal(parts, run, **({"rtol": 1e-4, "atol": 1e-5} if strategy == "ddp" else {}))


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_steps_that_are_not_finite_are_skipped(values: dict, tmp_path: Path, optimizer: str):
    values["optim"] |= {"steps": 3, "lr": 1e30, "warmup": 0, "optimizer": optimizer}
    values["engine"] = {"devices": 2, "strategy": "fsdp"}
    distill_together(values, tmp_path / "run", 2, code=1)  # its student's features are none
    first, last = (tmp_path / f"run/checkpoints/step-00000{step}" for step in (2, 3))
    for name in ("student.safetensors", "optimizer.safetensors"):
        torch.testing.assert_close(load_file(last / name), load_file(first / name), rtol=0, atol=0)
    kept = (tmp_path / "run/bad-steps").glob("step-000002*/student.safetensors")
    assert [load_file(file).keys() for file in kept] == [
        load_file(last / "student.safetensors").keys()
    ] * 2
