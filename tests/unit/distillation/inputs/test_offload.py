"""Offloaded weights and split batches give the same outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import toy
from cached import Asked

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation import assemble as module
from kivfm_core.distillation import prepare
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.inputs.offload import Offloaded
from kivfm_core.planner.placement import Machine, place
from kivfm_core.progress import Silent
from kivfm_core.student.student import Student
from kivfm_core.teacher import load_teacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

TEACHER = "toypurpose/small"


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def cramped(config: RunConfig) -> Machine:
    """A GPU whose memory does not hold the weights of all networks."""
    composition = compose(config)
    machines = (Machine("cuda", int(2**30 * 0.9**power)) for power in range(200))
    return next(m for m in machines if place(config, composition, m)[TEACHER].offloaded)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def costs(run: Path) -> dict[str, dict]:
    return {cost["name"]: cost for cost in json.loads((run / "costs.json").read_text())["costs"]}


def test_weights_come_to_where_the_input_is_and_stay_where_they_were(toys: dict[str, str]):
    encoder = load_teacher(toy.PURPOSE, toys[TEACHER]).encoder
    offloaded, x, seen = Offloaded(encoder), torch.rand(2, 3, 64, 64), list[str]()
    here, there = encoder(x), offloaded(x)
    assert all(torch.equal(here[name], there[name]) for name in here)
    encoder.register_forward_pre_hook(lambda e, _: seen.append(e.fine.weight.device.type))
    assert {level.device.type for level in offloaded(x.to("meta")).values()} == {"meta"}
    assert seen == ["meta"] and {p.device.type for p in encoder.parameters()} == {"cpu"}


def test_a_run_with_offloading_and_split_batches_learns_the_same(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, said = Asked(monkeypatch), Said()
    plain = distill(config, out=tmp_path / "plain", progress=said)
    assert not any("for want of memory" in line for line in said.lines)
    assert (costs(plain)[TEACHER]["device"], costs(plain)[TEACHER]["batch"]) == ("cpu", 4)
    views = asked.since()

    monkeypatch.setattr(prepare, "find_machine", lambda device: cramped(config))
    short = distill(config, out=tmp_path / "short", progress=said)
    assert f"weights on the CPU between uses, for want of memory: {TEACHER}" in said.lines
    cost = costs(short)
    assert (cost[TEACHER]["device"], cost["trunk@96"]["device"]) == ("cpu", "cuda")
    small = [f"{name} {c['batch']}" for name, c in cost.items() if 0 < c["batch"] < 4]
    assert small and f"views at once, for want of memory: {', '.join(small)}" in said.lines
    assert all(c["took_batch"] == c["batch"] for c in cost.values() if c["batch"])
    assert asked.since() == views
    assert losses(short) == pytest.approx(losses(plain), rel=1e-4)


def test_batches_are_split_as_planned(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = set[int]()
    forward = toy.ToyPurpose.forward

    def watched(self, x):
        seen.add(len(x))
        return forward(self, x)

    monkeypatch.setattr(toy.ToyPurpose, "forward", watched)
    engine_ = config.engine.model_copy(update={"memory": 1e-4})
    run = distill(config.model_copy(update={"engine": engine_}), out=tmp_path / "run")
    assert costs(run)[TEACHER]["batch"] == 1 and seen == {1}


def test_an_offloaded_teacher_is_never_loaded_onto_the_device(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    homes, load = dict[str, str](), module.load

    def loaded(spec, file, device, described=None):
        homes[spec.name] = device.type
        return load(spec, file, torch.device("cpu"))

    monkeypatch.setattr(module, "load", loaded)
    monkeypatch.setattr(Student, "to", lambda self, device: self)
    composition = compose(config)
    placements = place(config, composition, cramped(config))
    gpu = torch.device("cuda")
    models = module.assemble(config, composition, gpu, lambda _: None, placements)
    assert homes == {"toybase/small": "cuda", TEACHER: "cpu"}
    assert isinstance(models.teachers[TEACHER].encoder, Offloaded)
    assert models.frozen.placements == placements
