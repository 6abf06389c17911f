"""What is sharded, and what is not; two processes are in `tests/system/test_sharding.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from torch import distributed as group
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from kivfm_core.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distill.launch import _make
from kivfm_core.distill.module import Distillation
from kivfm_core.distill.sharding import shard, unshard
from kivfm_core.errors import UsageError
from kivfm_core.student import Student


def changed(config: RunConfig, part: str, **values) -> RunConfig:
    return config.model_copy(update={part: getattr(config, part).model_copy(update=values)})


@pytest.fixture
def alone() -> Iterator[None]:
    group.init_process_group("gloo", store=group.HashStore(), rank=0, world_size=1)
    yield
    group.destroy_process_group()


@pytest.mark.parametrize("model", [None, "toybase"])
def test_what_is_trained_is_sharded_and_nothing_else(config: RunConfig, alone, model: str | None):
    student = Student(compose(changed(config, "student", model=model)))
    names = [spec.name for spec in student.composition.teachers]
    module = Distillation(student, "kpu", dict.fromkeys(names, 1 / len(names)))
    before = {name: tensor.clone() for name, tensor in student.trained().items()}
    shard(module, init_device_mesh("cpu", (1, 1)))
    for name, parameter in module.named_parameters():
        assert hasattr(parameter, "full_tensor") == parameter.requires_grad, name
    assert any(not p.requires_grad for p in module.parameters()) == (model is None)
    in_blocks = isinstance(student.trunk.blocks[0], torch.distributed.fsdp.FSDPModule)
    assert in_blocks == (model is not None)
    unshard(student)
    torch.testing.assert_close(student.trained(), before, rtol=0, atol=0)


def test_what_cannot_be_sharded_is_refused(config: RunConfig, alone):
    student = Student(compose(config))
    student.scale = nn.Parameter(torch.ones(()))
    names = [spec.name for spec in student.composition.teachers]
    module = Distillation(student, "kpu", dict.fromkeys(names, 1 / len(names)))
    with pytest.raises(UsageError, match=r"cannot be sharded: .*scalar") as caught:
        shard(module, init_device_mesh("cpu", (1, 1)))
    assert caught.value.hint == "--strategy ddp"


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"compile": "student"}, "--set engine.compile=off"),
        ({"precision": "16-mixed"}, "--precision bf16-mixed"),
    ],
)
def test_what_does_not_go_with_shards(config: RunConfig, values: dict, hint: str):
    with pytest.raises(UsageError, match="fsdp") as caught:
        compose(changed(config, "engine", strategy="fsdp", devices=2, **values))
    assert caught.value.hint == hint
    compose(changed(config, "engine", strategy="fsdp", **values))


@pytest.mark.parametrize("devices", [1, 2])
def test_one_process_has_nothing_to_share(config: RunConfig, devices: int):
    engine = {"accelerator": "cpu", "precision": "32-true", "devices": devices}
    strategy = _make(changed(config, "engine", strategy="fsdp", **engine)).strategy
    assert isinstance(strategy, ModelParallelStrategy) == (devices == 2)
