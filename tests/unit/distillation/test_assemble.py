"""What a run is put together from."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.distillation.assemble import assemble
from kivfm_core.weights.fetch import file_sha256


def test_what_was_loaded_is_said_with_its_hash_and_how_many_tensors_matched(
    config: RunConfig, composition: Composition
):
    said: list[str] = []
    assemble(config, composition, torch.device("cpu"), said.append)
    for spec in composition.teachers:
        file = Path(config.weights[spec.name])
        held = len(load_file(file))
        line = f"{spec.name}: {file} (sha256 {file_sha256(file)[:12]}, {held} tensors matched)"
        assert line in said


def test_a_tokenizer_that_cannot_be_had_is_said_and_no_hindrance(
    config: RunConfig, composition: Composition, monkeypatch
):
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    first, second = composition.teachers
    task, *others = second.tasks
    task = task.model_copy(update={"tokenizer": "hf:no-one/nothing"})
    second = second.model_copy(update={"tasks": (task, *others)})
    said: list[str] = []
    plan = composition.model_copy(update={"teachers": (first, second)})
    models = assemble(config, plan, torch.device("cpu"), said.append)
    assert second.name in models.teachers
    (line,) = [line for line in said if "hf:no-one/nothing" in line]
    assert "the tokenizer" in line and task.task in line
