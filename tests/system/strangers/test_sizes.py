"""A stranger's tensors, plans and settings ask for no memory that nothing justifies."""

from __future__ import annotations

import json
import resource
import shutil
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import load_file
from stranger import (
    SLOW_OPENING,
    STATES,
    go_on,
    hostile,
    measure,
    mutated,
    plan_of,
    put,
    resume,
    rewrite,
    see,
    write,
)

from kivfm_core.errors import KivfmError, UsageError, WeightsError
from kivfm_core.student.bundle import load_student

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


@pytest.mark.parametrize("file", STATES)
@pytest.mark.parametrize("name", ["int64", "complex", "nan", "shape", "terabytes"])
def test_hostile_tensors(run: Path, file: str, name: str):
    hostile(name, load_file(run / file), run / file)
    with pytest.raises(KivfmError):
        load_student(run)


# What a configuration and a plan can ask for, by the file and place that asks.
GREEDY = (
    ("config.toml", "optim.batch_size", 10**12), ("config.toml", "data.workers", 10**6),
    ("config.toml", "engine.devices", 10**6), ("config.toml", "student.hidden", 10**12),
    ("config.toml", "student.width", 10**7),
    ("composition.json", "aligners.2.hidden", 10**9),
    ("composition.json", "aligners.3.latent", 10**9),
    ("composition.json", "adapter.widths.0", 10**6),
    ("composition.json", "adapter.v_channels", 10**9),
    ("composition.json", "trunk.parameters", 10**15),
)  # fmt: skip


# The teachers' own sizes are the limit of these.
CAPPED = ("student.hidden",)


@pytest.mark.parametrize(("file", "place", "value"), GREEDY)
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.timeout(60)
def test_a_resumed_run_asks_for_no_memory_that_is_not_there(
    run: Path, file: str, place: str, value: Any, begun: bool
):
    """Its records agree with each other: the stranger wrote them all."""
    if not begun:
        shutil.rmtree(run / "checkpoints")
        shutil.rmtree(run / "student")
    if file == "config.toml":
        config = tomllib.loads((run / file).read_text())
        put(config, place, value)
        (run / file).write_text(tomli_w.dumps(config))
        rewrite(run / "environment.json", lambda r: put(r["configuration"], place, value))
    else:
        rewrite(run / file, lambda r: put(r, place, value))
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        go_on(run)
        refused = False
    except (UsageError, WeightsError) as error:
        refused = True
        assert error.message.replace("\n", "").isprintable()
    # A run that begins again does so by a plan of its own; what a plan says is not read elsewhere.
    unread = (file == "composition.json") if not begun else place.startswith("student")
    assert refused == (place not in CAPPED and not unread)
    assert time.monotonic() - began < 2 * SLOW_OPENING
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # a GiB, in KiB


def test_an_encoder_asks_for_no_more_than_its_weights_hold(run: Path, monkeypatch):
    """Of a spec that a run stores; the plugin's builder takes its width from there."""

    def wide(spec: Any) -> Any:
        return torch.nn.Linear(spec.config.get("width", 1), 10**6)

    monkeypatch.setattr("toy.purpose", wide)
    rewrite(run / "composition.json",
            lambda r: plan_of(r)["teachers"][1].update(config={"width": 10**6}))  # fmt: skip
    with pytest.raises(UsageError, match="do not agree: the networks would be far larger"):
        measure(run)
    with pytest.raises(UsageError, match="toypurpose/small declares config"):
        go_on(run)
    monkeypatch.setattr("kivfm_core.distillation.state.resume.redeclared", lambda *_: [])
    with pytest.raises(UsageError, match="do not agree: the networks would be far larger"):
        go_on(run)


@pytest.mark.parametrize("stride", [90, 1145, 10**9])
def test_a_plan_that_its_networks_do_not_keep_is_a_sentence(run: Path, stride: int):
    """Found by the fuzz test: canvases were enlarged to a cell, and a map had no cell."""
    rewrite(run / "student/student.json",
            lambda r: plan_of(r)["trunk"]["levels"][1].update(stride=stride))  # fmt: skip
    for opener in (see, measure):
        with pytest.raises(UsageError, match=r"is damaged|as its plan says"):
            opener(run)


HUGE = (23_176, 10**6, 10**9, 10**12, 10**30)


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize(
    "place",
    ["adapter.widths.0", "adapter.widths.2", "adapter.x_channels", "adapter.v_channels",
     "aligners.2.hidden", "aligners.3.latent", "aligners.3.level.channels", "aligners.4.maps.V",
     "aligners.4.x_channels", "adapter.taps.0.channels", "adapter.strides.2"],
)  # fmt: skip
def test_sizes_that_the_weights_do_not_justify(run: Path, place: str, size: int):
    def change(record: dict[str, Any]) -> None:
        inner: Any = plan_of(record)
        *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
        for key in path:
            inner = inner[key]
        inner[last] = size

    rewrite(run / "student/student.json", change)
    began = time.monotonic()
    with pytest.raises((UsageError, WeightsError)):
        load_student(run)
    assert time.monotonic() - began < SLOW_OPENING


@pytest.mark.parametrize(
    ("file", "place"),
    [("composition.json", "teachers.0.input.size"), ("composition.json", "trunk_size"),
     ("composition.json", "image_size.0"), ("composition.json", "teacher_size"),
     ("config.toml", "data.teacher_size")],
)  # fmt: skip
def test_canvases_are_no_larger_than_any_models(run: Path, file: str, place: str):
    path = tuple(int(key) if key.isdigit() else key for key in place.split("."))
    text = (run / file).read_text()
    record = tomllib.loads(text) if file.endswith(".toml") else json.loads(text)
    write(run / file, mutated(record, path, 1_728_000))
    with pytest.raises(UsageError, match="must be at most 8192"):
        resume(run)
