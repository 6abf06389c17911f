"""A run does what was planned, whatever is cached; and later runs are predicted from it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from cached import Asked, stream, with_cache

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.planner.networks import list_networks
from kivfm_core.planner.plan import make_plan
from kivfm_core.planner.rates import read_rates
from kivfm_core.processes.interrupt import Interrupted
from kivfm_core.progress import Silent
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

STEPS = 9
"""With three steps of fitting before them: 48 views of four at a time, 24 of them different."""


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def prepared(config: RunConfig, views: int, memory: float, steps: int = STEPS) -> RunConfig:
    made = with_cache(config, None, views)
    data = made.data.model_copy(update={"memory": memory})
    optim = made.optim.model_copy(update={"steps": steps})
    return made.model_copy(update={"data": data, "optim": optim})


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_cached_and_online_mix_and_change_nothing(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, said = Asked(monkeypatch), Said()
    runs: dict[str, Path] = {}
    kinds = {"cached": 4.0, "mixed": 5e-4, "online": 1e-6}
    for kind, memory in kinds.items():
        runs[kind] = distill(prepared(config, 2, memory), out=tmp_path / kind, progress=said)
        costs = json.loads((runs[kind] / "costs.json").read_text())
        # What was planned was done.
        counts = {cost["name"]: cost["took_views"] for cost in costs["costs"]}
        assert counts == {cost["name"]: cost["views"] for cost in costs["costs"]}
        answers = [cost["answers"] for cost in costs["costs"] if cost["answers"]]
        assert ("mixed" if len(set(answers)) > 1 else answers[0]) == kind
        assert costs["bytes"] <= costs["space"]
        assert asked.since() == {
            "decoded": counts["pictures"],
            "trunk": counts["trunk@64"],
            "teacher": counts["toypurpose/small"],
        }
        assert counts["trunk@64"] == (48 if kind == "online" else 24)
        assert counts["toypurpose/small"] == (24 if kind == "cached" else 48)
        assert counts["learning"] == 4 * STEPS
        # The first run is measured, so that the others are predicted.
        assert (costs["predicted_seconds"] is None) == (kind == "cached")
        took = sum(cost["took_seconds"] for cost in costs["costs"])
        assert costs["took_seconds"] == pytest.approx(took) and took > 0
    ends = [line.split()[:2] for line in said.lines if "took" in line]
    assert [words[0] for words in ends] == ["not", "predicted", "predicted"]
    anew = next(line for line in said.lines if line.startswith("run anew"))
    assert anew.endswith(": canvas@64, toypurpose/small")
    # All outputs are rounded alike where views are stored, and batches are the same.
    assert losses(runs["cached"]) == losses(runs["mixed"]) == losses(runs["online"])
    one, two, three = (load_student(run).state_dict() for run in runs.values())
    assert all(torch.equal(one[k], two[k]) and torch.equal(one[k], three[k]) for k in one)


def test_fitting_an_encoding_is_planned(config: RunConfig, tmp_path: Path):
    # Twelve pictures to fit it on, and three steps of four views, fitted on and learned from.
    made = prepared(config, 2, 4.0, steps=3)
    latent = made.student.model_copy(update={"latent": 8})
    for path, views in ((None, 24), (tmp_path / "cache", 24), (tmp_path / "cache", 0)):
        kept = with_cache(made, path, encoding="latent-int8").model_copy(update={"student": latent})
        run = distill(kept, out=tmp_path / f"{path is None}-{views}")
        costs = json.loads((run / "costs.json").read_text())["costs"]
        assert all(cost["took_views"] == cost["views"] for cost in costs)
        assert {cost["name"]: cost["views"] for cost in costs}["toypurpose/small"] == views


def test_rounding_is_all_that_a_cache_changes(config: RunConfig, tmp_path: Path):
    # In the first epoch, a fresh view is the stored one; what is online then is not rounded.
    # A recipe of squared errors: an angle, in units of a small dispersion, is not smooth enough.
    config = config.model_copy(update={"recipe": "phi-s"})
    fresh = distill(prepared(config, 0, 4.0, steps=3), out=tmp_path / "fresh")
    mixed = distill(prepared(config, 1, 3e-4, steps=3), out=tmp_path / "mixed")
    plan = json.loads((mixed / "costs.json").read_text())["costs"]
    assert {cost["answers"] for cost in plan} == {"cached", "online", ""}
    # bfloat16 has 8 bits: half a unit in the last place, squared in the loss.
    assert losses(mixed) == pytest.approx(losses(fresh), rel=2**-8)
    assert losses(mixed) != losses(fresh)


class StopAt(Silent):
    def step(self, info):
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_interrupted_run_leaves_what_it_measured(config: RunConfig, tmp_path: Path):
    long = prepared(config, 2, 4.0, steps=40)
    with pytest.raises(Interrupted):
        distill(long, out=tmp_path / "run", progress=StopAt())
    plan = make_plan(long, compose(long), 12, read_rates())
    assert plan.seconds is not None and plan.seconds > 0


def test_what_a_cache_on_disk_has_is_not_planned_again(config: RunConfig, tmp_path: Path):
    disk = with_cache(config, tmp_path / "cache")
    composition = compose(disk)
    made = stream(disk)
    for _ in made.steps(0, 6):
        pass
    sizes = {network.name: network.bytes for network in list_networks(disk, composition)}
    stores = {name: store.bytes for name, store in made.cache.stores.items()}
    assert sizes == stores
    stored = made.cache.count(disk.data.views)
    assert stored == dict.fromkeys(sizes, 24)
    whole = disk.model_copy(update={"cache": disk.cache.model_copy(update={"limit": 1e-6})})
    plan = make_plan(whole, composition, 12, read_rates(), stored)
    assert plan.online == () and sum(cost.bytes or 0 for cost in plan.costs) == 0
    assert {cost.name: cost.views for cost in plan.costs}["pictures"] == 0
