"""Trackers get what `metrics.jsonl` has, go on where they were, and never stop a run."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import PluginError, UsageError
from kivfm_core.processes.interrupt import Interrupted
from kivfm_core.progress import Silent
from kivfm_core.runs.run import Run
from kivfm_core.student.bundle import load_student
from kivfm_core.trackers.table import TRACKERS

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")


class Heard(Silent):
    """What a run says; it is stopped after its first line of metrics if that is wanted."""

    def __init__(self, stop: bool = False) -> None:
        self.said, self.stop = list[str](), stop

    def message(self, text: str) -> None:
        self.said.append(text)

    def step(self, info: dict[str, Any]) -> None:
        if self.stop:
            os.kill(os.getpid(), signal.SIGTERM)


def logged(config: RunConfig, *trackers: str) -> RunConfig:
    return config.model_copy(update={"log": trackers})


def stop_and_resume(config: RunConfig, path: Path) -> Path:
    first, second = Heard(stop=True), Heard()
    with pytest.raises(Interrupted):
        distill(config, out=path, progress=first)
    distill(resume=path, progress=second)
    assert not [line for line in first.said + second.said if "failed" in line]
    return path


def losses(path: Path) -> list[tuple[int, float]]:
    lines = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines]


def same_student(a: Path, b: Path) -> bool:
    left, right = load_student(a).state_dict(), load_student(b).state_dict()
    return all(torch.equal(left[key], right[key]) for key in left | right)


def test_mlflow_gets_the_losses_and_a_resumed_run_goes_on_there(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    path = stop_and_resume(logged(config, "mlflow"), tmp_path / "run")
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("kivfm").experiment_id])
    assert Run(path).trackers == {"mlflow": found.info.run_id}
    points = client.get_metric_history(found.info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == losses(path)
    assert {"loss_toypurpose_small", "pull_toypurpose_small", "lr"} <= found.data.metrics.keys()
    assert found.data.params["optim.lr"] == "0.004" and found.info.status == "FINISHED"
    assert found.info.run_name == "run" and not (path / "tensorboard").exists()


def test_trackers_change_nothing_of_the_student(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    none = distill(logged(config), out=tmp_path / "none")
    several = distill(logged(config, "tensorboard", "mlflow"), out=tmp_path / "several")
    assert losses(none) == losses(several) and same_student(none, several)
    assert not (none / "tensorboard").exists() and (several / "tensorboard").exists()
    assert not (none / "trackers.json").exists()


def test_wandb_offline(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("wandb")
    for name, value in (("MODE", "offline"), ("DIR", str(tmp_path)), ("SILENT", "true")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    heard = Heard()
    path = distill(logged(config, "wandb"), out=tmp_path / "run", progress=heard)
    assert not [line for line in heard.said if "failed" in line]
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert Run(path).trackers == {"wandb": file.stem.removeprefix("run-")}
    assert b"loss/toypurpose/small" in file.read_bytes()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Weights & Biases and Trackio as modules of their interface, and what they were told."""
    told: dict[str, list[Any]] = {"begun": [], "points": [], "finished": []}

    def init(**given: Any) -> SimpleNamespace:
        name = given.get("id") or given["name"]
        told["begun"].append(given)
        return SimpleNamespace(
            id=name,
            disabled=False,
            log=lambda values, step: told["points"].append((step, values["loss"])),
            finish=lambda: told["finished"].append(name),
        )

    for name in ("wandb", "trackio"):
        module: Any = ModuleType(name)
        module.init, module.Settings = init, lambda **given: given
        module.__spec__ = SimpleNamespace(name=name)
        monkeypatch.setitem(sys.modules, name, module)
    return told


def test_services_go_on_in_the_run_that_was_begun(
    config: RunConfig, tmp_path: Path, service: dict[str, list[Any]]
):
    for name, key in (("wandb", "id"), ("trackio", "name")):
        for known in service.values():
            known.clear()
        path = stop_and_resume(logged(config, name), tmp_path / name)
        first, again = service["begun"]
        assert first["project"] == again["project"] == "kivfm"
        assert first["config"]["optim.lr"] == 0.004
        assert again[key] == Run(path).trackers[name] and again["resume"] == "allow"
        assert service["points"] == losses(path)
        assert service["finished"] == 2 * [again[key]]


def test_a_tracker_that_fails_is_said_once_and_the_run_goes_on(
    config: RunConfig, tmp_path: Path, service: dict[str, list[Any]]
):
    class Full(list[Any]):
        def append(self, point: Any) -> None:
            super().append(point)
            raise ConnectionError("no route to the server")

    service["points"] = Full()
    heard = Heard()
    config = logged(config, "wandb", "tensorboard")
    path = distill(config, out=tmp_path / "run", progress=heard)
    (said,) = [line for line in heard.said if "wandb" in line]
    assert "wandb failed" in said and "no route to the server" in said and "metrics.jsonl" in said
    assert len(service["points"]) == 1 and (path / "tensorboard").exists()
    assert [step for step, _ in losses(path)] == [2, 4, 6]
    assert same_student(path, distill(logged(config), out=tmp_path / "alone"))


def test_a_tracker_that_cannot_begin_stops_no_run(
    config: RunConfig, tmp_path: Path, service: dict[str, list[Any]]
):
    def refuse(**_: Any) -> None:
        raise RuntimeError("no account")

    sys.modules["wandb"].init = refuse  # type: ignore[attr-defined]
    heard = Heard()
    path = distill(logged(config, "wandb"), out=tmp_path / "run", progress=heard)
    assert [line for line in heard.said if "wandb failed" in line and "no account" in line]
    assert (path / "student/student.json").exists() and not Run(path).trackers


def test_a_package_that_is_missing_is_refused_before_anything_is_made(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kind = TRACKERS["mlflow"].model_copy(update={"needs": "no_such_package"})
    monkeypatch.setitem(TRACKERS, "mlflow", kind)
    with pytest.raises(PluginError, match="--log mlflow needs no_such_package") as caught:
        distill(logged(config, "mlflow"), out=tmp_path / "run")
    assert caught.value.hint == "pip install 'kivfm[mlflow]'"
    assert not (tmp_path / "run").exists()


def test_trackers_are_known_by_name():
    read = {
        "tensorboard, wandb,wandb": ("tensorboard", "wandb"),
        "none": (),
        "": (),
    }
    for text, names in read.items():
        assert build_config(None, {"teachers": "dino", "log": text}).log == names
    with pytest.raises(UsageError, match="no tracker 'neptune'; of these: tensorboard, wandb"):
        build_config(None, {"teachers": "dino", "log": "neptune"})


def test_wandb_without_a_login_does_not_keep_a_run_waiting(
    config: RunConfig, tmp_path: Path, service: dict[str, list[Any]], monkeypatch
):
    for name in ("LOGIN_TIMEOUT", "FINISH_TIMEOUT"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    module: Any = sys.modules["wandb"]
    begin = module.init

    def wait(**given: Any) -> SimpleNamespace:
        # What the library does after WANDB_LOGIN_TIMEOUT seconds at its prompt.
        assert float(os.environ["WANDB_LOGIN_TIMEOUT"]) > 0
        assert float(os.environ["WANDB_FINISH_TIMEOUT"]) > 0
        made = begin(**given)
        made.disabled = True
        return made

    module.init = wait
    heard = Heard()
    path = distill(logged(config, "wandb"), out=tmp_path / "run", progress=heard)
    assert [line for line in heard.said if "wandb failed" in line and "logged in" in line]
    assert not service["points"] and not Run(path).trackers
