"""Parts of the method that can be switched: preservation, and the teachers' maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError
from kivfm_core.runs.run import open_run
from kivfm_core.student.student import Student


def changed(config: RunConfig, steps: int, **more: Any) -> RunConfig:
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["optim"]["steps"] = steps
    for key, value in more.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    return RunConfig.model_validate(values)


def last(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["losses"]


def test_a_base_that_does_not_count_is_left_further_behind(config: RunConfig, tmp_path: Path):
    free = [{"name": "toybase", "weight": 0}, "toypurpose"]
    kept = last(distill(changed(config, 40), out=tmp_path / "kept"))
    lost = last(distill(changed(config, 40, teachers=free), out=tmp_path / "free"))
    assert lost["toybase/small"] > 1.2 * kept["toybase/small"]
    with pytest.raises(ValueError, match="every weight is 0"):
        changed(config, 1, teachers=[{"name": "toybase", "weight": 0}])


def test_a_learned_latent_is_learned_and_resumed(config: RunConfig, tmp_path: Path):
    learned = {"latent_map": "learned"}
    whole = distill(changed(config, 6, student=learned), out=tmp_path / "whole")
    students = [open_run(whole).load_student(untrained=first) for first in (True, False)]
    assert not torch.equal(*(axes(student) for student in students))
    fixed = distill(changed(config, 6), out=tmp_path / "fixed")
    students = [open_run(fixed).load_student(untrained=first) for first in (True, False)]
    assert torch.equal(*(axes(student) for student in students))
    with pytest.raises(UsageError, match=r"student.latent_map: learned, now fixed"):
        distill(changed(open_run(whole).config, 8, student={"latent_map": "fixed"}), resume=whole)
    assert distill(resume=whole, steps=8) == whole


def axes(student: Student) -> torch.Tensor:
    plan = student.composition.of("toypurpose/small")[0]
    return student.aligner("toypurpose/small", plan.level.name).axes
