"""Matrices together move as they would one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm.optim
import torch
from torch import nn

from kivfm_core.distillation.training import muon
from kivfm_core.distillation.training.muon import Muon


def make() -> nn.Module:
    torch.manual_seed(0)
    same = [nn.Linear(16, 8) for _ in range(3)]
    convolutions = [nn.Conv2d(4, 8, 2), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(16, 8, 1)]
    odd = [nn.Linear(8, 16), nn.LayerNorm(8), nn.Linear(8, 1)]
    model = nn.ModuleList([*same, *convolutions, *odd])
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def groups(parameters: list[nn.Parameter]) -> list[dict]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]


def moved(make_optimizer: Callable[[list[dict]], torch.optim.Optimizer], steps: int):
    parameters = list(make().parameters())
    optimizer = make_optimizer(groups(parameters))
    torch.manual_seed(1)
    for _ in range(steps):
        for p in parameters[:-1]:  # the last one never has a gradient
            p.grad = torch.randn_like(p)
        optimizer.step()
    return [p.detach() for p in parameters]


@pytest.mark.parametrize("steps", [1, 4])
def test_as_timms_own(steps: int, monkeypatch: pytest.MonkeyPatch):
    # Timm's own iterates in bfloat16 everywhere.
    monkeypatch.setattr(muon, "computes_bfloat16", lambda _: True)
    ours = moved(lambda groups: Muon(groups, 0.01, (0.9, 0.98)), steps)
    theirs = moved(
        lambda groups: timm.optim.Muon(
            groups, lr=0.01, betas=(0.9, 0.98), adjust_lr_fn="match_rms_adamw"
        ),
        steps,
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_processor_without_bfloat16_iterates_in_float32(monkeypatch: pytest.MonkeyPatch):
    seen: list[torch.dtype] = []
    iterate = timm.optim.muon.zeropower_via_newtonschulz

    def watch(*args: Any, dtype: torch.dtype, **kwargs: Any) -> torch.Tensor:
        seen.append(dtype)
        return iterate(*args, dtype=dtype, **kwargs)

    monkeypatch.setattr(timm.optim.muon, "zeropower_via_newtonschulz", watch)
    for fast, wanted in ((False, torch.float32), (True, torch.bfloat16)):
        seen.clear()
        monkeypatch.setattr(muon, "computes_bfloat16", lambda _, fast=fast: fast)
        moved(lambda groups: Muon(groups, 0.01, (0.9, 0.98)), 1)
        assert set(seen) == {wanted}
