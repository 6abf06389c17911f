"""Which precision a run has when none is configured."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from safetensors.torch import load_file

from kivfm_core.config import RunConfig
from kivfm_core.distillation import prepare
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.processes import launch
from kivfm_core.distillation.processes.launch import resolve_precision
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.planner.rates import read_rates
from kivfm_core.processes import launch as processes
from kivfm_core.progress import Silent
from kivfm_core.runs.run import open_run
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
    assert resolve_precision(config).engine.precision == precision
    for asked in ("32-true", "16-mixed"):
        assert resolve_precision(asking(config, asked)).engine.precision == asked


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
    first, last = (line["losses"]["toypurpose/small"] for line in (lines[0], lines[-1]))
    assert last < first

    # Elsewhere `auto` means something else; the run goes on as it began unless that is configured.
    on("32-true")
    assert distill(resume=run, steps=7) == run
    with pytest.raises(UsageError, match=r"engine\.precision: bf16-mixed, now 32-true"):
        distill(config, resume=run)
    plain = distill(asking(config, "32-true"), out=tmp_path / "plain")
    assert distill(config, resume=plain, steps=7) == plain


@pytest.mark.parametrize("fast", [False, True])
def test_a_processor_that_only_imitates_bfloat16_is_named(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
):
    said: list[str] = []

    class Heard(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    monkeypatch.setattr(prepare, "computes_bfloat16", lambda _: fast)
    for precision in ("32-true", "bf16-mixed"):
        distill(asking(config, precision), out=tmp_path / precision, progress=Heard())
    warned = [text for text in said if "--precision 32-true" in text]
    assert len(warned) == (0 if fast else 1)


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
    from kivfm_core.composition.compose import compose
    from kivfm_core.planner.plan import make_plan

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    distill(config, out=tmp_path / "run")
    made = config.anchored()

    def plan(precision: str):
        return make_plan(asking(made, precision), compose(made), 12, read_rates())

    assert plan("auto").seconds is not None
    assert plan("auto") == plan("32-true")
    assert "training" in plan("16-mixed").why


class Scaled(MixedPrecision):
    """Scales gradients as for float16, which is for GPUs, yet computes in float32."""

    def __init__(self, scale: float) -> None:
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))
        self._desired_input_dtype = torch.float32

    def forward_context(self):
        return nullcontext()


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Where new scalers begin."""
    begin = [2.0**16]
    monkeypatch.setattr(
        processes, "Fabric",
        lambda precision, **asked: Fabric(**asked, plugins=[Scaled(begin[0])]),
    )  # fmt: skip
    return begin


def scaled(config: RunConfig, **optim) -> RunConfig:
    config = asking(config, "16-mixed")
    return config.model_copy(update={"optim": config.optim.model_copy(update=optim)})


def remembered(run: Path, step: int) -> tuple[float, int]:
    """The scale, and for how many steps it has held."""
    file = run / f"checkpoints/step-{step:06d}/state.json"
    scaler = json.loads(file.read_text())["precision"]
    return scaler["scale"], scaler["_growth_tracker"]


def test_a_scale_that_is_too_large_is_lowered_and_no_fault(
    config: RunConfig, tmp_path: Path, scale: list[float]
):
    scale[0] = 2.0**127
    run = distill(scaled(config, steps=30, bad_limit=0), out=tmp_path / "run")
    now, held = remembered(run, 30)
    assert 1 <= now < 2.0**127 and 0 < held < 30
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(line["skipped"] == 0 for line in lines)
    before, after = (
        load_file(run / f"checkpoints/step-{n:06d}/student.safetensors") for n in (0, 30)
    )
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_gradient_that_no_scale_makes_finite_is_a_fault(
    config: RunConfig, tmp_path: Path, scale: list[float], monkeypatch: pytest.MonkeyPatch
):
    class Broken(torch.autograd.Function):
        """Finite, with a gradient that is not."""

        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("nan")

    real = DISTANCES["mse-cosine"]
    monkeypatch.setitem(DISTANCES, "mse-cosine", lambda a, b: Broken.apply(real(a, b)))
    scale[0] = 4.0
    with pytest.raises(KivfmError, match=r"2 steps were skipped, optim\.bad_limit=1"):
        distill(scaled(config, steps=30, bad_limit=1), out=tmp_path / "run")


def test_a_resumed_run_has_the_scale_that_it_had(
    config: RunConfig, tmp_path: Path, scale: list[float]
):
    whole = distill(scaled(config, steps=6), out=tmp_path / "whole")
    cut = distill(scaled(config, steps=4), out=tmp_path / "cut")
    scale[0] = 2.0  # as a new scaler would begin
    distill(resume=cut, steps=6)
    assert remembered(cut, 6) == remembered(whole, 6)
