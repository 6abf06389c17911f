"""What is sharded, and what is not; two processes are in `tests/system/test_sharding.py`."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from torch import distributed, nn
from torch.distributed.fsdp import FSDPModule

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig
from kivfm_core.distillation.processes.launch import _make
from kivfm_core.distillation.processes.sharding import gather, set_up, sharding, unshard
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.schedule import make_optimizer
from kivfm_core.errors import UsageError
from kivfm_core.student.student import Student


def changed(config: RunConfig, part: str, **values) -> RunConfig:
    return config.model_copy(update={part: getattr(config, part).model_copy(update=values)})


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    """One process that shards all the same."""
    fabric = Fabric(accelerator="cpu", devices=1, strategy=sharding())
    with patch.dict(os.environ):
        fabric.launch()
        yield fabric
        distributed.destroy_process_group()


def make(config: RunConfig) -> Distillation:
    student = Student(compose(config))
    names = [spec.name for spec in student.composition.teachers]
    return Distillation(student, "kpu", dict.fromkeys(names, 1 / len(names)))


@pytest.mark.parametrize("model", [None, "toybase"])
def test_what_is_trained_is_sharded_and_nothing_else(
    config: RunConfig, fabric: Fabric, model: str | None
):
    config = changed(config, "student", model=model)
    module = make(config)
    student, optimizer = module.student, make_optimizer(module, config)
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    remembered = [{k: v.clone() for k, v in optimizer.state[p].items()} for p in trained]
    before = {name: tensor.clone() for name, tensor in student.trained().items()}
    whole = [weakref.ref(parameter) for parameter in trained]
    del trained, parameter

    set_up(fabric, module, optimizer)
    assert not any(ref() is not None for ref in whole)  # a process has no room for them
    for name, parameter in module.named_parameters():
        assert hasattr(parameter, "full_tensor") == parameter.requires_grad, name
    assert any(not p.requires_grad for p in module.parameters()) == (model is None)
    assert isinstance(student.trunk.blocks[0], FSDPModule) == (model is not None)
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter, state in zip(trained, remembered, strict=True):
        assert {id(p) for g in optimizer.param_groups for p in g["params"]} >= {id(parameter)}
        for name, tensor in state.items():
            part = optimizer.state[parameter][name]
            assert hasattr(part, "full_tensor") == (tensor.ndim > 0)
            assert torch.equal(gather(part), tensor)

    unshard(student)
    torch.testing.assert_close(student.trained(), before, rtol=0, atol=0)


def test_what_cannot_be_sharded_is_refused(config: RunConfig, fabric: Fabric):
    module = make(config)
    module.student.scale = nn.Parameter(torch.ones(()))
    with pytest.raises(UsageError, match=r"cannot be sharded: .*scalar") as caught:
        set_up(fabric, module, make_optimizer(module, config))
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
