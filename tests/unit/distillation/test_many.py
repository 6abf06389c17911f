"""A student of twelve teachers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toy

from kivfm_core.config import RunConfig
from kivfm_core.distillation.engine import distill
from kivfm_core.student.bundle import load_student

pytestmark = pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")

SIBLINGS = [f"toypurpose/{size}" for size in ("atto", "femto", "pico", "nano", "tiny", "small")]
STRANGERS = [f"toy{animal}/small" for animal in ("ant", "bear", "cat", "deer", "eagle")]
OTHERS = tuple(
    toy.PURPOSE.model_copy(update={"name": name, "aliases": ()}) for name in SIBLINGS + STRANGERS
)


@pytest.fixture
def twelve(config: RunConfig, register: Callable[..., None], tmp_path: Path) -> RunConfig:
    register(toy.BASE, *OTHERS)
    values = config.model_dump(by_alias=True, exclude_none=True)
    values["teachers"] = ["toybase", *(spec.name for spec in OTHERS)]
    # Every step has the same view of all pictures: losses change by learning alone.
    values["optim"] |= {"steps": 10, "batch_size": 12}
    values["data"] |= {"image_size": (48,), "views": 1}
    values["checkpoint"]["every"] = 5
    for seed, spec in enumerate(OTHERS):
        file = tmp_path / f"{seed}.safetensors"
        toy.save(spec, file, seed)
        values["weights"][spec.name] = str(file)
    return RunConfig.model_validate(values)


def test_each_of_twelve_teachers_gets_a_stand_in(twelve: RunConfig, tmp_path: Path):
    run = distill(twelve, out=tmp_path / "run")
    first, *_, last = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    student = load_student(run)
    assert len(student.composition.teachers) == 12
    canvas = torch.rand(1, 3, 96, 96)
    for spec in OTHERS:
        assert last["losses"][spec.name] < first["losses"][spec.name]
        stand_in = student.stand_in(spec.name)
        levels = stand_in.encode(canvas, [])
        assert levels["fine"].shape == (1, 24, 24, 24)
        assert stand_in.decode("semantic-segmentation", levels).logits.shape[1] == len(toy.LABELS)
