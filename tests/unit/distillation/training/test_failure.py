"""A run that came to its end and is of no use says so, records it, and is listed as failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kivfm_cli.app import main
from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.distillation.training.failure import DIVERGED, loss_rise
from kivfm_core.distillation.training.metrics import read_metrics
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.errors import KivfmError
from kivfm_core.objectives.losses import DISTANCES
from kivfm_core.run_files import RunFiles

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


def with_optim(config: RunConfig, **values) -> RunConfig:
    return config.model_copy(update={"optim": config.optim.model_copy(update=values)})


def listed(run: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main(["runs", "list", str(run.parent), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["runs"][0]


def test_a_run_that_diverges_fails_and_is_marked(config: RunConfig, tmp_path: Path, capsys):
    path = tmp_path / "runs/run"
    with pytest.raises(KivfmError, match=r"diverged: the loss in .* ended at [\d.e+]+ times") as e:
        distill(with_optim(config, lr=3.0, warmup=0), out=path)
    assert e.value.exit_code == 1
    assert e.value.hint.startswith("lower the learning rate: kivfm distill --config ")
    assert e.value.hint.endswith("--set optim.lr=0.6")
    assert RunFiles(path).has_student
    found = listed(path, capsys)
    assert found["student"] and found["failed"] == e.value.message
    main(["runs", "list", str(path.parent)])
    out = capsys.readouterr().out
    assert " failed  " in out and f"{path} failed: diverged: the loss" in out
    main(["runs", "show", str(path)])
    assert "failed  " in capsys.readouterr().out
    # It does not become a good one by being resumed with nothing to do.
    with pytest.raises(KivfmError, match="diverged"):
        distill(resume=path)
    assert listed(path, capsys)["failed"]


def test_a_run_that_goes_well_is_ready(config: RunConfig, tmp_path: Path, capsys):
    path = distill(config, out=tmp_path / "runs/run")
    lines = read_metrics(RunFiles(path))
    assert [("untrained" in line) for line in lines] == [True, False, False]
    assert 0 < loss_rise(lines) < 1.3 < DIVERGED
    assert listed(path, capsys)["failed"] is None
    distill(resume=path, steps=8)
    assert [("untrained" in line) for line in read_metrics(RunFiles(path))].count(True) == 1
    main(["runs", "list", str(path.parent)])
    assert " ready " in capsys.readouterr().out


def test_a_run_that_was_mostly_skipped_is_not_ready(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    path, config = tmp_path / "runs/run", with_optim(config, bad_limit=9)

    def sick(student, _):
        return student.flatten(1).sum(1) * float("nan")

    with monkeypatch.context() as patch:
        patch.setitem(DISTANCES, "mse-cosine", sick)
        for given in ({"config": config, "out": path}, {"resume": path}):
            with pytest.raises(KivfmError, match="6 of 6 steps were skipped"):
                distill(**given)
            assert "6 of 6 steps were skipped" in listed(path, capsys)["failed"]
    distill(resume=path, steps=9)  # mended: the steps since then count
    assert listed(path, capsys)["failed"] is None


def test_a_student_without_finite_features_fails(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    features = Distillation._features

    def broken(self, canvas, targets):
        found, trunk = features(self, canvas, targets)
        if not self.student.training:
            return {name: x * float("nan") for name, x in found.items()}, trunk
        return found, trunk

    monkeypatch.setattr(Distillation, "_features", broken)
    with pytest.raises(KivfmError, match=r"the features of the student in .* are not finite"):
        distill(config, out=tmp_path / "run")
    assert "not finite" in RunFiles(tmp_path / "run").costs["failed"]


def test_the_rise_of_a_loss_weighs_teachers_alike():
    first = {"step": 10, "untrained": {"a": 2.0, "b": 2.0}, "losses": {"a": 900.0, "b": 900.0}}
    lines = [first, *({"step": 10 * n, "losses": {"a": n, "b": 3 * n}} for n in range(2, 21))]
    assert loss_rise(lines) == pytest.approx((2 * 19 + 2 * 20) / 2 / 2)
    assert loss_rise([{"step": 10, "losses": {"a": 1.0}}]) == 1.0
    assert loss_rise([{"step": 10}]) == loss_rise([]) == 0.0
