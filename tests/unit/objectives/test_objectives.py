"""Objectives: nothing where student and teacher agree, hand-computed values elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.objectives.balancing import draw, dropping
from kivfm_core.objectives.losses import DISTANCES, mse_cosine, readout_distance
from kivfm_core.readout import Readout

KINDS = ("choice", "binary", "number")


def test_a_student_that_knows_only_the_mean_is_at_one_and_a_half():
    torch.manual_seed(0)
    teacher = torch.randn(50, 16, 4, 4)
    teacher = teacher / teacher.square().mean().sqrt()
    ignorant = mse_cosine(torch.zeros_like(teacher), teacher)
    assert ignorant.shape == (50,) and float(ignorant.mean()) == pytest.approx(1.5, abs=1e-3)
    assert mse_cosine(teacher, teacher).mean() == pytest.approx(0, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), classes=st.integers(2, 9))
def test_readouts_differ_by_nothing_or_more(kind, seed: int, classes: int):
    torch.manual_seed(seed)
    student, teacher = (Readout(5 * torch.randn(2, 7, classes), kind) for _ in range(2))
    assert float(readout_distance([teacher], [teacher]).mean()) == pytest.approx(0, abs=1e-5)
    assert float(readout_distance([student], [teacher]).min()) > 0


def test_distances_by_hand():
    sure, even = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    # KL of (3/4, 1/4) against (1/2, 1/2).
    choice = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(distance(even, sure, "choice")) == pytest.approx(choice, abs=1e-6)
    # The first question's logit log 3 means 3/4 as well; the second agrees.
    assert float(distance(even, sure, "binary")) == pytest.approx(choice, abs=1e-6)
    number = distance(torch.tensor([[1.0, 0.05]]), torch.zeros(1, 2), "number")
    assert float(number) == pytest.approx(0.95 + 0.05**2 / 0.2, abs=1e-6)


def distance(student: torch.Tensor, teacher: torch.Tensor, kind) -> torch.Tensor:
    return readout_distance([Readout(student, kind)], [Readout(teacher, kind)])


def test_places_count_by_the_teachers_weights():
    student, teacher = torch.tensor([[[1.0]], [[3.0]]]), torch.zeros(2, 1, 1)
    weight = torch.tensor([[0.0], [0.5]])
    weighted = readout_distance([Readout(student, "number")], [Readout(teacher, "number", weight)])
    assert weighted.tolist() == pytest.approx([0.0, 0.5 * 2.95])


def test_unlikely_logits_stay_finite():
    for kind in KINDS:
        student = torch.full((1, 3), -80.0, requires_grad=True)
        gap = distance(student, torch.tensor([[90.0, -90.0, 0.0]]), kind)
        gap.backward()
        assert gap.isfinite() and student.grad is not None and student.grad.isfinite().all()


def test_a_readout_that_makes_no_sense_is_refused_at_once():
    values = torch.zeros(2, 7, 3)
    with pytest.raises(ValueError, match="not 'logits'"):
        Readout(values, "logits")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="places has weights"):
        Readout(values, "number", torch.ones(2, 7, 1))


@pytest.mark.parametrize("name", sorted(DISTANCES))
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 2, 4)])
def test_distances_are_one_an_image_and_nothing_where_student_and_teacher_agree(name, shape):
    torch.manual_seed(0)
    student, teacher = torch.randn(shape).requires_grad_(), torch.randn(shape)
    apart = DISTANCES[name](student, teacher)
    assert apart.shape == (3,) and (apart > 0).all()
    apart.sum().backward()
    assert student.grad is not None and student.grad.isfinite().all()
    assert DISTANCES[name](teacher, teacher).abs().max() < 1e-4


# At (3, 4) from (4, 3): cosine 24/25, squared error 1, smooth absolute error 1/2.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", 1.0),
        ("cosine", 0.04),
        ("mse-cosine", 0.54),
        ("angle", math.acos(0.96) ** 2),
        ("cosine-smooth", 0.9 * 0.04 + 0.1 * 0.5),
        ("even-smooth", 0.5 * 0.04 + 0.5 * 0.5),
        ("flat-smooth", 0.9 * 0.04 + 0.1 * 0.5),
    ],
)
def test_level_distances_by_hand(name: str, expected: float):
    student, teacher = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])
    assert float(DISTANCES[name](student, teacher)) == pytest.approx(expected, abs=1e-6)


def test_a_cosine_knows_no_length():
    vectors = torch.randn(3, 64)
    for length in (1e-5, 1.0, 1e4):
        for near in (1.0, 0.02):
            vector = F.normalize(vectors) * length
            assert DISTANCES["cosine"](near * vector, vector).abs().max() < 1e-5


def test_a_flat_cosine_is_one_over_the_whole_map():
    # Two cells, parallel each, of very different length.
    student = torch.tensor([[[[1.0, 0.0]], [[0.0, 9.0]]]])
    teacher = torch.tensor([[[[9.0, 0.0]], [[0.0, 1.0]]]])
    cell, flat, ours = (
        DISTANCES[n](student, teacher) for n in ("cosine-smooth", "flat-smooth", "mse-cosine")
    )
    assert float(flat - cell) == pytest.approx(0.9 * (1 - 18 / 82), abs=1e-6)
    assert float(ours) == pytest.approx(0.5 * 32 + 1 - 18 / 82, abs=1e-6)


@pytest.mark.parametrize("name", sorted(DISTANCES))
@pytest.mark.parametrize("length", [0.1, 1.0, 1e3])
def test_no_distance_is_steep_at_zero(name: str, length: float):
    student = torch.zeros(1, 64, requires_grad=True)
    teacher = F.normalize(torch.randn(1, 64)) * length
    DISTANCES[name](student, teacher).sum().backward()
    assert student.grad is not None
    assert 0 < student.grad.norm() < 400 / length + length


@settings(max_examples=50, deadline=None)
@given(
    counting=st.integers(1, 5), idle=st.integers(0, 2), images=st.integers(1, 5),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_dropping_is_as_defined(counting: int, idle: int, images: int, seed: int):
    torch.manual_seed(seed)
    teachers = idle + counting
    losses, draws = torch.rand(teachers, images), torch.rand(teachers, images)
    weights = torch.rand(teachers, 1).repeat(1, images) + 0.1
    weights[:idle] = 0
    shares = dropping(losses, weights, draws)
    for b in range(images):
        largest = idle + int(losses[idle:, b].argmax())  # of those whose weight is not 0
        stays = [t == largest or float(draws[t, b]) < 0.5 for t in range(teachers)]
        total = sum(float(weights[t, b]) for t in range(teachers) if stays[t])
        for t in range(teachers):
            expected = float(weights[t, b]) / total if stays[t] else 0.0
            assert float(shares[t, b]) == pytest.approx(expected, abs=1e-5)


def test_a_view_draws_the_same_in_any_process():
    whole = draw(3, 7, (2, 6))
    parts = [draw(3, 7, (2, 3), rank, 2) for rank in range(2)]
    assert torch.equal(torch.stack(parts, 2).flatten(1), whole)
    assert not torch.equal(whole, draw(3, 8, (2, 6)))
