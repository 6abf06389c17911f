"""Devices that a configuration names, and that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.errors import UsageError


def with_engine(config: RunConfig, **values) -> RunConfig:
    return config.model_copy(update={"engine": config.engine.model_copy(update=values)})


@pytest.mark.parametrize("values", [{"accelerator": "warp"}, {"accelerator": "tpu"}])
def test_devices_that_are_not_here(config: RunConfig, tmp_path: Path, values: dict):
    with pytest.raises(UsageError, match="no such devices here") as caught:
        distill(with_engine(config, **values), out=tmp_path / "run")
    assert "--devices 1" in caught.value.hint


def test_views_that_cannot_be_shared(config: RunConfig, tmp_path: Path):
    three = with_engine(config, accelerator="cpu", devices=3, strategy="ddp")
    with pytest.raises(UsageError, match="shared evenly by 3 processes") as caught:
        distill(three, out=tmp_path / "run")
    assert caught.value.hint == "--batch-size 6"


@pytest.mark.parametrize("strategy", ["fsdp2", "deepspeed"])
def test_what_is_no_strategy_names_those_that_are(strategy: str):
    with pytest.raises(UsageError, match=r"engine.strategy: .*'ddp' or 'fsdp'"):
        build_config(None, {"teachers": "clip", "engine.strategy": strategy})
