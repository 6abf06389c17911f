"""The terms that keep coordinates from collapse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kivfm_core.objectives.vicreg import COVARIANCE, collapse


def alone(x: Tensor) -> Tensor:
    return x


def white(count: int, size: int) -> Tensor:
    torch.manual_seed(0)
    x = torch.randn(count, size)
    x = x - x.mean(0)
    return torch.linalg.qr(x).Q * count**0.5


def test_what_varies_and_is_uncorrelated_costs_nothing():
    assert float(collapse(white(200, 5) + 3, alone)) == pytest.approx(0, abs=1e-3)
    assert float(collapse(3 * white(200, 5), alone)) == pytest.approx(0, abs=1e-3)


def test_what_is_the_same_everywhere_costs_one():
    assert float(collapse(torch.ones(200, 5), alone)) == pytest.approx(1, abs=0.02)


def test_a_coordinate_twice_costs_its_covariance():
    x = white(200, 4)
    twice = torch.cat([x[:, :1], x[:, :1], x[:, 1:]], 1)
    assert float(collapse(twice, alone)) == pytest.approx(COVARIANCE * 2 / 5, abs=1e-3)


def test_gradients_lead_out_of_collapse():
    x = white(200, 4)
    matrix = (0.01 * torch.ones(4, 4)).requires_grad_()
    optimizer = torch.optim.Adam([matrix], 0.02)
    with torch.no_grad():
        matrix += 1e-3 * torch.randn(4, 4)
    for _ in range(400):
        optimizer.zero_grad()
        collapse(x @ matrix, alone).backward()
        optimizer.step()
    assert float(collapse(x @ matrix.detach(), alone)) < 0.02
