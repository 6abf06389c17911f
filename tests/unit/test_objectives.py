"""Objectives: nothing where student and teacher agree, hand-computed values elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.objectives.losses import latent_distance, readout_distance
from kivfm_core.readout import Readout

KINDS = ("choice", "binary", "number")


def test_a_student_that_knows_only_the_mean_is_at_one_and_a_half():
    torch.manual_seed(0)
    teacher = torch.randn(50, 16, 4, 4)
    teacher = teacher / teacher.square().mean().sqrt()
    assert float(latent_distance(torch.zeros_like(teacher), teacher)) == pytest.approx(
        1.5, abs=1e-3
    )
    assert float(latent_distance(teacher, teacher)) == pytest.approx(0, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), classes=st.integers(2, 9))
def test_readouts_differ_by_nothing_or_more(kind, seed: int, classes: int):
    torch.manual_seed(seed)
    said, meant = (Readout(5 * torch.randn(2, 7, classes), kind) for _ in range(2))
    assert float(readout_distance([meant], [meant])) == pytest.approx(0, abs=1e-5)
    assert float(readout_distance([said], [meant])) > 0


def test_distances_by_hand():
    sure, even = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    # KL of (3/4, 1/4) against (1/2, 1/2).
    choice = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(distance(even, sure, "choice")) == pytest.approx(choice, abs=1e-6)
    # The first question's logit log 3 means 3/4 as well; the second agrees.
    assert float(distance(even, sure, "binary")) == pytest.approx(choice, abs=1e-6)
    number = distance(torch.tensor([[1.0, 0.05]]), torch.zeros(1, 2), "number")
    assert float(number) == pytest.approx(0.95 + 0.05**2 / 0.2, abs=1e-6)


def distance(said: torch.Tensor, meant: torch.Tensor, kind) -> torch.Tensor:
    return readout_distance([Readout(said, kind)], [Readout(meant, kind)])


def test_places_count_by_the_teachers_weights():
    said, meant = torch.tensor([[[1.0]], [[3.0]]]), torch.zeros(2, 1, 1)
    weight = torch.tensor([[0.0], [0.5]])
    weighted = readout_distance([Readout(said, "number")], [Readout(meant, "number", weight)])
    assert float(weighted) == pytest.approx(0.5 * 2.95 / 2)


def test_unlikely_logits_stay_finite():
    for kind in KINDS:
        said = torch.full((1, 3), -80.0, requires_grad=True)
        gap = distance(said, torch.tensor([[90.0, -90.0, 0.0]]), kind)
        gap.backward()
        assert gap.isfinite() and said.grad is not None and said.grad.isfinite().all()


def test_a_readout_that_makes_no_sense_is_refused_at_once():
    values = torch.zeros(2, 7, 3)
    with pytest.raises(ValueError, match="not 'logits'"):
        Readout(values, "logits")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="places has weights"):
        Readout(values, "number", torch.ones(2, 7, 1))
