"""Matrices together move as they would one by one."""

from __future__ import annotations

import pytest
import torch
from timm.optim.muon import Muon
from torch import nn

from kivfm_core.distill.muon import BatchedMuon


def make() -> nn.Module:
    torch.manual_seed(0)
    same = [nn.Linear(16, 8) for _ in range(3)]
    convolutions = [nn.Conv2d(4, 8, 2), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(16, 8, 1)]
    odd = [nn.Linear(8, 16), nn.LayerNorm(8), nn.Linear(8, 1)]
    model = nn.ModuleList([*same, *convolutions, *odd])
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def moved(kind: type[Muon], steps: int) -> tuple[list[torch.Tensor], Muon]:
    parameters = list(make().parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = kind(groups, lr=0.01, adjust_lr_fn="match_rms_adamw")
    torch.manual_seed(1)
    for _ in range(steps):
        for p in parameters[:-1]:  # the last one never has a gradient
            p.grad = torch.randn_like(p)
        optimizer.step()
    return [p.detach() for p in parameters], optimizer


@pytest.mark.parametrize("steps", [1, 4])
def test_as_timms_own(steps: int):
    ours, theirs = moved(BatchedMuon, steps), moved(Muon, steps)
    for one, other in zip(ours[0], theirs[0], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    states = [optimizer.state_dict()["state"] for optimizer in (ours[1], theirs[1])]
    assert {k: set(v) for k, v in states[0].items()} == {k: set(v) for k, v in states[1].items()}


def test_gradients_stay_where_they_are():
    parameters, _ = list(make().parameters()), torch.manual_seed(1)
    for p in parameters:
        p.grad = torch.randn_like(p)
    before = [p.grad.clone() for p in parameters if p.grad is not None]
    BatchedMuon(parameters, lr=0.01).step()
    assert all(torch.equal(p.grad, old) for p, old in zip(parameters, before, strict=True))  # pyright: ignore
