"""What changes over the steps of a run."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.training.schedule import (
    make_optimizer,
    readout_share,
    set_learning_rate,
)
from kivfm_core.student.student import Student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


@pytest.mark.parametrize("steps", [2, 3, 800])
def test_the_decoders_share_grows_evenly_and_is_one_on_average(steps: int):
    for start in (0, 1 / 3, 1):
        shares = [readout_share(step, steps, start) for step in range(steps)]
        assert shares[0] == pytest.approx(start)
        assert shares[-1] == pytest.approx(2 - start)
        assert fmean(shares) == pytest.approx(1)


@pytest.mark.parametrize(("recipe", "grows"), [("kpu", True), ("levels", False)])
def test_what_decoders_say_counts_for_more_in_the_end(
    config: RunConfig, tmp_path: Path, recipe: str, grows: bool
):
    first, last = logged(config, tmp_path, recipe)
    assert (last["loss"] > 1.05 * first["loss"]) == grows
    assert grows or last["loss"] == pytest.approx(first["loss"], rel=0.02)
    for name, loss in last["losses"].items():  # so that curves of them fall
        assert loss == pytest.approx(first["losses"][name], rel=0.02)


def logged(config: RunConfig, folder: Path, recipe: str) -> list[dict[str, Any]]:
    """Twenty steps in which nothing is learned, in two lines."""
    values = config.model_dump(by_alias=True) | {"recipe": recipe}
    values["data"] |= {"views": 1}
    values["optim"] |= {"steps": 20, "batch_size": 12, "lr": 1e-12}
    values["checkpoint"] |= {"every": 20}
    path = distill(RunConfig.model_validate(values), out=folder / recipe)
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_global_levels_aligners_move_no_further_than_they_may(config: RunConfig, kind: str):
    free, capped = (first_moves(config, kind, lr) for lr in (1.0, 1e-3))
    pooled = {name for name in free if name.startswith("aligners.toypurpose-small:global.")}
    assert pooled and pooled < free.keys()
    for name, moved in capped.items():
        share = 0.25 if name in pooled else 1.0
        assert moved == pytest.approx(share * free[name], rel=1e-3), name


def first_moves(config: RunConfig, kind: str, global_level_lr: float) -> dict[str, float]:
    """How far each parameter goes in a step of a gradient of ones."""
    values = config.model_dump(by_alias=True)
    values["optim"] |= {"optimizer": kind, "lr": 4e-3, "global_level_lr": global_level_lr}
    config = RunConfig.model_validate(values)
    torch.manual_seed(0)
    student = Student(compose(config))
    optimizer = make_optimizer(student, config)
    set_learning_rate(optimizer, config.optim.lr)
    trained = {name: p for name, p in student.named_parameters() if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trained.items()}
    for p in trained.values():
        p.grad = torch.ones_like(p)
    optimizer.step()
    return {name: float((p.detach() - before[name]).norm()) for name, p in trained.items()}
