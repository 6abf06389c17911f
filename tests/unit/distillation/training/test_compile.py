"""Compiled runs and those that keep fewer activations: the same student, in the same files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kivfm_core.aligners.latent import LatentAligner
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.training import compile as compiled
from kivfm_core.errors import KivfmError

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def with_engine(config: RunConfig, steps: int = 3, **values) -> RunConfig:
    engine = config.engine.model_copy(update=values)
    optim = config.optim.model_copy(update={"steps": steps})
    return config.model_copy(update={"engine": engine, "optim": optim})


def student(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "student/student.safetensors")


def close(one: Path, two: Path) -> bool:
    a, b = student(one), student(two)
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], atol=1e-3) for k in a)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything of a compilation but the compiler, which takes minutes."""
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    torch.compiler.reset()


# Dynamo looks at the gradients of what it goes on with, which have none.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_compiled_run_leaves_what_any_run_leaves(
    config: RunConfig, tmp_path: Path, traced, monkeypatch: pytest.MonkeyPatch
):
    plain = distill(with_engine(config), out=tmp_path / "plain")
    seen: list[str] = []
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile",
        lambda self, **more: (seen.append(type(self).__name__), compile_(self, **more))[1],
    )  # fmt: skip
    made = distill(with_engine(config, compile="all"), out=tmp_path / "compiled")
    assert seen == ["ToyPurpose", "Distillation"]
    assert close(plain, made)
    # It goes on compiled or not.
    for compile_now in ("student", "off"):
        going = with_engine(config, steps=4, compile=compile_now)
        made = distill(going, resume=tmp_path / "compiled")
        assert student(made).keys() == student(plain).keys()


def test_without_a_compiler_it_says_so(config: RunConfig, tmp_path: Path, monkeypatch):
    def missing(*_):
        raise RuntimeError("Failed to find a working C++ compiler\nand so on")

    monkeypatch.setattr(compiled, "BACKEND", missing)
    with pytest.raises(KivfmError, match=r"does not work here: .*") as caught:
        distill(with_engine(config, compile="student"), out=tmp_path / "run")
    assert "\n" not in caught.value.message and "working C++ compiler" in caught.value.message
    assert "engine.compile=off" in caught.value.hint


def test_activations_that_are_not_kept_change_nothing(
    config: RunConfig, tmp_path: Path, monkeypatch
):
    plain = distill(with_engine(config), out=tmp_path / "plain")
    calls: list[bool] = []
    predict = LatentAligner._predict

    def counted(self, *given):
        calls.append(torch.is_grad_enabled())
        return predict(self, *given)

    monkeypatch.setattr(LatentAligner, "_predict", counted)
    less = distill(with_engine(config, activation_checkpointing=True), out=tmp_path / "less")
    a, b = student(plain), student(less)
    assert all(torch.equal(a[k], b[k]) for k in a)
    aligners = 3
    assert len(calls) >= 2 * 3 * aligners  # each of three steps runs every aligner twice
