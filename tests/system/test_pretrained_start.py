"""A student that is trained in full starts from pre-trained weights, and inherits their terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from toy_pictures import write_pictures

from kivfm_cli.app import main
from kivfm_core.composition.compose import compose
from kivfm_core.composition.student_teacher import resolve
from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError, WeightsError
from kivfm_core.licenses.terms import inherited
from kivfm_core.run_files import UNTRAINED
from kivfm_core.runs.run import open_run

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

MODEL = "test_resnet.r160_in1k"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights as timm saves them, with the classifier."""
    path = tmp_path / "mine.safetensors"
    torch.manual_seed(1)
    save_file(timm.create_model(MODEL, pretrained=False).state_dict(), path)
    return path


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run of two steps, without a hub, and with nothing in its cache."""
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return {
        "teachers": "dino/nano,segmenter/nano",
        "student.model": f"timm/{MODEL}",
        "data.path": str(write_pictures(tmp_path / "pictures")),
        "data.image_size": 96,
        "optim.steps": 2,
        "optim.batch_size": 2,
        "optim.calibration": 4,
        "optim.warmup": 1,
    }


def configured(flags: dict[str, Any], weights: str | Path | None) -> RunConfig:
    return build_config(None, {**flags, "student.weights": weights and str(weights)})


def trunk_at_start(run: Path) -> dict[str, torch.Tensor]:
    state = load_file(run / "checkpoints" / UNTRAINED / "student.safetensors")
    start = "trunk.model."
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def is_from(run: Path, file: Path) -> bool:
    """Whether a run's trunk began as a file has it; but for the classifier, which it lacks."""
    given, found = load_file(file), trunk_at_start(run)
    return bool(found) and all(torch.equal(value, given[key]) for key, value in found.items())


def test_it_starts_from_a_file_and_a_resumed_run_needs_it_no_more(
    flags: dict[str, Any], file: Path, tmp_path: Path
):
    run = distill(configured(flags, file), out=tmp_path / "run")
    assert is_from(run, file)
    weights = json.loads((run / "environment.json").read_text())["weights"]
    assert weights["student"]["source"] == str(file) and len(weights["student"]["sha256"]) == 64
    assert f"| timm/{MODEL} | weights |" in (run / "student/LICENSES.md").read_text()
    assert "what the trunk started from" in (run / "student/README.md").read_text()
    file.unlink()
    distill(resume=run, steps=3)
    settings = open_run(run).config.optim.model_copy(update={"lr": 1e-3})
    changed = open_run(run).config.model_copy(update={"optim": settings})
    distill(changed, resume=run, steps=4, allow_changes=True)
    assert json.loads((run / "environment.json").read_text())["weights"] == weights


def test_whoever_learns_from_it_inherits_the_terms_of_its_start(
    flags: dict[str, Any], file: Path, tmp_path: Path
):
    spec = resolve(str(distill(configured(flags, file), out=tmp_path / "run")))
    names = {source.teacher for source in inherited([spec]).sources}
    assert names == {"dino/nano", "segmenter/nano", f"timm/{MODEL}"}


def test_random_weights_are_inherited_from_nobody(flags: dict[str, Any], tmp_path: Path):
    run = distill(configured(flags, "none"), out=tmp_path / "run")
    assert f"timm/{MODEL}" not in (run / "student/LICENSES.md").read_text()
    assert "student" not in json.loads((run / "environment.json").read_text())["weights"]
    assert distill(resume=run, steps=3) == run
    # Whatever is the default now, it began at random.
    distill(configured(flags, None), resume=run, steps=4, allow_changes=True)
    assert f"timm/{MODEL}" not in (run / "student/LICENSES.md").read_text()


def test_published_weights_are_the_default(flags: dict[str, Any], file: Path, tmp_path: Path):
    cached = tmp_path / f"hub/models--timm--{MODEL}/snapshots/abc/model.safetensors"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(file.read_bytes())
    run = distill(configured(flags, None), out=tmp_path / "run")
    assert is_from(run, file)


def test_without_a_network_the_error_says_what_to_give(flags: dict[str, Any], tmp_path: Path):
    with pytest.raises(WeightsError, match="KIVFM_OFFLINE=1 forbids fetching") as caught:
        distill(configured(flags, None), out=tmp_path / "run")
    assert f"timm/{MODEL}" in caught.value.message
    assert "pass --student-weights FILE" in caught.value.hint
    assert "--student-weights none" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_a_wrong_file_is_refused_with_the_names_of_its_keys(
    flags: dict[str, Any], file: Path, tmp_path: Path
):
    state = load_file(file)
    del state["layer1.0.conv1.weight"]
    save_file({**state, "layer9.weight": torch.zeros(1)}, tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError, match=r"model\.layer1\.0\.conv1\.weight") as caught:
        distill(configured(flags, tmp_path / "wrong.safetensors"), out=tmp_path / "run")
    assert "layer9.weight" in caught.value.message
    assert "with --student-weights FILE" in caught.value.hint


def test_compose_says_what_the_start_brings(
    flags: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["compose", "--teachers", flags["teachers"], "--student", f"timm/{MODEL}"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "is trained in full, from pre-trained weights" in shown
    assert f"to download: timm/{MODEL}" in shown
    for given, pretrained in ((str(file), True), ("none", False)):
        assert main([*words, "--json", "--student-weights", given]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["trunk"]["pretrained"] == pretrained and not told["downloads"]
        sources = {source["teacher"] for source in told["license"]["sources"]}
        assert (f"timm/{MODEL}" in sources) == pretrained


def test_weights_are_for_a_student_that_is_trained_in_full(flags: dict[str, Any]):
    del flags["student.model"]
    with pytest.raises(UsageError, match="--student-weights is for a student"):
        compose(configured(flags, "none"))
