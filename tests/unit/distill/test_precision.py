"""Which precision a run has when none is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from kivfm_core.config import RunConfig
from kivfm_core.distill import distill, launch
from kivfm_core.distill.launch import settle
from kivfm_core.distill.progress import Silent
from kivfm_core.errors import UsageError
from kivfm_core.planner.rates import read_rates
from kivfm_core.run import open_run
from kivfm_core.teacher import LoadedTeacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def asking(config: RunConfig, precision: str) -> RunConfig:
    engine = config.engine.model_copy(update={"precision": precision})
    return config.model_copy(update={"engine": engine})


@pytest.mark.parametrize(
    ("cuda", "bf16", "precision"),
    [(True, True, "bf16-mixed"), (True, False, "32-true"), (False, True, "32-true")],
)
def test_bfloat16_where_a_gpu_computes_in_it(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, cuda: bool, bf16: bool, precision: str
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert settle(config).engine.precision == precision
    for asked in ("32-true", "16-mixed"):
        assert settle(asking(config, asked)).engine.precision == asked


def test_a_run_keeps_the_precision_that_it_began_with(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []

    class Heard(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    def on(precision: str) -> None:
        monkeypatch.setattr(launch, "auto_precision", lambda accelerator, to=precision: to)

    on("bf16-mixed")
    run = distill(config, out=tmp_path / "run", progress=Heard())
    assert "on cpu, precision bf16-mixed" in said
    assert open_run(run).config.engine.precision == "bf16-mixed"
    assert open_run(run).environment["configuration"]["engine"]["precision"] == "bf16-mixed"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]

    # Elsewhere `auto` means something else; the run goes on as it began unless that is asked for.
    on("32-true")
    assert distill(resume=run, steps=7) == run
    with pytest.raises(UsageError, match=r"engine\.precision: bf16-mixed, now 32-true"):
        distill(config, resume=run)
    plain = distill(asking(config, "32-true"), out=tmp_path / "plain")
    assert distill(config, resume=plain, steps=7) == plain


def test_frozen_networks_answer_in_the_precision_of_the_run(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    low: list[bool] = []
    encode = LoadedTeacher.encode

    def listen(self, *args):
        low.append(torch.is_autocast_enabled("cpu"))
        return encode(self, *args)

    monkeypatch.setattr(LoadedTeacher, "encode", listen)
    for precision in ("32-true", "bf16-mixed"):
        low.clear()
        distill(asking(config, precision), out=tmp_path / precision)
        assert {*low} == {precision == "bf16-mixed"}


def test_a_plan_knows_what_auto_comes_to(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from kivfm_core.compose import compose
    from kivfm_core.planner.plan import make_plan

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    distill(config, out=tmp_path / "run")
    made = config.anchored()

    def plan(precision: str):
        return make_plan(asking(made, precision), compose(made), 12, read_rates())

    assert plan("auto").seconds is not None
    assert plan("auto") == plan("32-true")
    assert "learning" in plan("16-mixed").why
