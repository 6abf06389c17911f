"""What goes wrong in the middle of a run: values that are not finite, and no memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import toy
from safetensors.torch import load_file

from kivfm_core.config import RunConfig
from kivfm_core.distill import distill
from kivfm_core.distill.module import Distillation
from kivfm_core.distill.progress import Silent
from kivfm_core.errors import KivfmError
from kivfm_core.teacher import Levels, LoadedTeacher

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def with_optim(config: RunConfig, **values) -> RunConfig:
    return config.model_copy(update={"optim": config.optim.model_copy(update=values)})


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch, pictures: Path) -> str:
    """A picture that makes a teacher answer with NaN: a black one."""
    from PIL import Image

    Image.new("RGB", (64, 64)).save(pictures / "05.png")
    (pictures / "more/05.png").unlink()
    encode = LoadedTeacher.encode

    def failing(self, images, frames):
        levels = encode(self, images, frames)
        black = images.flatten(1).amax(1) == 0
        if self.spec.family == "toypurpose":
            fine = levels["fine"].masked_fill(black[:, None, None, None], float("nan"))
            levels = Levels({**levels, "fine": fine}, frames)
        return levels

    monkeypatch.setattr(LoadedTeacher, "encode", failing)
    return "05.png"


def test_a_teacher_that_fails_at_a_picture_is_named_and_the_step_skipped(
    config: RunConfig, tmp_path: Path, sick: str
):
    heard = Heard()
    path = distill(config, out=tmp_path / "run", progress=heard)
    said = [line for line in heard.said if line.startswith("skipped step")]
    # Once while the aligners are fitted, and in each of two epochs.
    assert len(said) == 3
    assert all(line.endswith(f"toypurpose/small:fine is not finite for {sick}") for line in said)
    student = load_file(path / "student/student.safetensors")
    assert all(tensor.isfinite().all() for tensor in student.values())
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert sum(line["skipped"] for line in lines) == 2
    kept = sorted((path / "bad-steps").iterdir())
    report = json.loads((kept[-1] / "report.json").read_text())
    assert report["not_finite"] == {"toypurpose/small:fine": [sick]}
    batch = load_file(kept[-1] / "batch.safetensors")
    row = report["pictures"].index(sick)
    assert batch["toypurpose/small:fine"][row].isnan().all()
    assert batch["canvas"][row].amax() == 0

    with pytest.raises(KivfmError, match=r"1 steps were skipped.*toypurpose/small:fine") as caught:
        distill(with_optim(config, bad_limit=0), out=tmp_path / "strict")
    assert "bad-steps" in caught.value.hint


def gradients(path: Path) -> dict[str, torch.Tensor]:
    """Of a run's first step. (AdamW makes whole steps of the rounding errors of those near 0.)"""
    state = load_file(path / "checkpoints/step-000001/optimizer.safetensors")
    return {name: tensor for name, tensor in state.items() if name.endswith("exp_avg")}


def near(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    scale = max(float(tensor.abs().max()) for tensor in a.values())
    return all(torch.allclose(a[k], b[k], rtol=0, atol=1e-5 * scale) for k in a)


def test_when_memory_runs_out_smaller_portions_give_the_same_student(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    config = with_optim(config, steps=1)
    whole = gradients(distill(config, out=tmp_path / "whole"))
    asked = gradients(distill(with_optim(config, micro_batch=3), out=tmp_path / "asked"))
    assert near(whole, asked) and any(not torch.equal(whole[k], asked[k]) for k in whole)

    room = 2

    def cramp(kind: type[torch.nn.Module]) -> None:
        forward = kind.forward

        def cramped(self, canvas, *rest):
            if len(canvas) > room:
                raise torch.OutOfMemoryError("out of memory")
            return forward(self, canvas, *rest)

        monkeypatch.setattr(kind, "forward", cramped)

    cramp(Distillation)
    cramp(toy.ToyPurpose)
    heard = Heard()
    short = gradients(distill(config, out=tmp_path / "short", progress=heard))
    assert near(whole, short)
    said = [line for line in heard.said if line.startswith("out of memory")]
    assert len(said) == 2 and all("portions of 2, 4 views a step" in line for line in said)

    room = 0
    with pytest.raises(KivfmError, match=r"out of memory: .*, one view at a time"):
        distill(resume=tmp_path / "short", steps=2)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_smaller_precision_is_advised_unless_the_run_has_it(
    config: RunConfig, tmp_path: Path, monkeypatch, precision: str
):
    def cramped(self, *given):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Distillation, "forward", cramped)
    engine = config.engine.model_copy(update={"precision": precision})
    with pytest.raises(KivfmError) as caught:
        distill(config.model_copy(update={"engine": engine}), out=tmp_path / "run")
    assert "--image-size" in caught.value.hint
    assert ("bf16-mixed" in caught.value.hint) == (precision == "32-true")
