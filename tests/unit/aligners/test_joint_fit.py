"""The joint fit finds planted factors, and its maps lead back."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kivfm_core.aligners.joint_fit import JointFit, Moments, fit_added, fit_joint, maxvar
from kivfm_core.aligners.shared_map import SharedMap
from kivfm_core.aligners.sums import Sums, moments

PLACES = 4000


def planted(sizes: list[int], factors: int, noise: float, seed: int) -> tuple[Tensor, list[Tensor]]:
    """Factors `[N, F]`, and sets of variables that each mix them with noise of their own."""
    torch.manual_seed(seed)
    g = torch.randn(PLACES, factors)
    sets = []
    for size in sizes:
        turn = torch.linalg.qr(torch.randn(size, size)).Q
        sets.append(g @ turn[:factors] + noise * torch.randn(PLACES, size) + 3)
    return g, sets


def summed(vectors: Tensor, parts: int = 1) -> Moments:
    sums = Sums(vectors.shape[1])
    for part in vectors.chunk(parts):
        sums.add(part)
    return Moments(*moments(sums.count, sums.total, sums.outer))


def fit(sets: list[Tensor], shared: int, whole: list[Tensor] | None = None) -> JointFit:
    """A fit; every 20 places are an image's."""
    dense, more = torch.cat(sets, 1), whole or []
    images = torch.cat([dense.view(-1, 20, dense.shape[1]).mean(1), *more], 1)
    sizes = [s.shape[1] for s in sets], [w.shape[1] for w in more]
    groups = [[i] for i in range(len(sets))]
    return fit_joint(summed(dense), summed(images), sizes, groups, shared)


def maps(found: JointFit) -> list[SharedMap]:
    made = []
    for one in (*found.dense, *found.whole):
        made.append(SharedMap(len(one.center), one.into.shape[1]))
        made[-1].fit(one)
    return made


def explained(target: Tensor, by: Tensor) -> float:
    """The share of a target's variance that a linear regression explains."""
    target, by = (x.double() - x.double().mean(0) for x in (target, by))
    left = target - by @ torch.linalg.lstsq(by, target).solution
    return float(1 - left.square().sum() / target.square().sum())


@settings(max_examples=10, deadline=None)
@given(
    sizes=st.lists(st.integers(4, 12), min_size=2, max_size=5),
    factors=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_planted_factors_are_found(sizes: list[int], factors: int, seed: int):
    g, sets = planted(sizes, factors, 0.2, seed)
    found = fit(sets, factors + 2)
    said = [m.shared(v) for m, v in zip(maps(found), sets, strict=True)]
    agreed = torch.stack(said).sum(0) / found.sums
    assert explained(g, agreed[:, :factors]) > 0.9
    # All sets know the factors, and the rest is one's alone: a set's worth, where there is more.
    assert found.sums[factors - 1] > 0.7 * len(sizes)
    assert found.sums[factors] < 1.3
    assert all(a >= b for a, b in pairwise(found.sums.tolist()))


def test_what_is_agreed_has_unit_covariance_and_regression_shrinks():
    _, sets = planted([6, 9, 5], 3, 1.0, 0)
    found = fit(sets, 5)
    said = [m.shared(v) for m, v in zip(maps(found), sets, strict=True)]
    agreed = torch.stack(said).sum(0) / found.sums
    assert torch.allclose(agreed.T @ agreed / PLACES, torch.eye(5).double(), atol=1e-2)
    assert all((z.square().mean(0) < 1.01).all() for z in said)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(2, 30), shared=st.integers(1, 40), seed=st.integers(0, 99))
def test_maps_lead_back_whatever_they_are(size: int, shared: int, seed: int):
    torch.manual_seed(seed)
    one = SharedMap(size, shared)
    for tensor in one.buffers():
        tensor.copy_(torch.rand(tensor.shape) + 0.1)
    for v in (torch.randn(3, size), torch.randn(3, size, 4, 5)):
        z, p = one.split(v)
        assert z.shape[1] == shared
        assert torch.allclose(one.join(z, p), v, atol=1e-4)


def test_private_noise_is_not_shared():
    _, (a, b) = planted([6, 6], 2, 0.1, 1)
    _, (alone,) = planted([6], 2, 0.1, 2)
    found = fit([a, b, alone], 2)
    shares = [one.share for one in found.dense]
    assert min(shares[:2]) > 0.8 and shares[2] < 0.05
    assert found.among[0, 1] > 0.8 and found.among[0, 2] < 0.05 > found.others[2]
    assert torch.allclose(found.among.diagonal()[:2], torch.tensor(shares[:2]), atol=0.1)


def test_a_global_level_says_what_its_image_shares():
    g, sets = planted([6, 8], 2, 0.1, 3)
    image = g.view(-1, 20, 2).mean(1)
    whole = image @ torch.randn(2, 7) + 0.02 * torch.randn(len(image), 7) + 5
    found = fit(sets, 2, [whole])
    into = maps(found)[-1]
    pooled = torch.stack([m.shared(v) for m, v in zip(maps(found), sets, strict=False)]).sum(0)
    pooled = (pooled / found.sums).view(-1, 20, 2).mean(1)
    assert explained(pooled, into.shared(whole)) > 0.9
    assert found.whole[0].share > 0.7
    assert float(found.unit) == pytest.approx(float(pooled.square().mean().sqrt()), rel=0.1)


def test_streams_and_shards_are_as_one_batch():
    _, sets = planted([6, 9, 5], 3, 0.5, 4)
    vectors = torch.cat(sets, 1)
    whole, parts = summed(vectors), summed(vectors, 7)
    halves = [Sums(20), Sums(20)]
    for half, part in zip(halves, vectors.chunk(2), strict=True):
        half.add(part)
    together = Moments(
        *moments(
            sum(h.count for h in halves), sum(h.total for h in halves), sum(h.outer for h in halves)
        )
    )
    for other in (parts, together):
        assert torch.allclose(whole.covariance, other.covariance, rtol=1e-10)
        loadings, sums = maxvar(other.covariance, [6, 9, 5], 4)
        wanted = maxvar(whole.covariance, [6, 9, 5], 4)
        assert torch.allclose(loadings, wanted[0], atol=1e-8) and torch.allclose(sums, wanted[1])


def test_levels_that_never_move_share_nothing():
    _, sets = planted([6, 9], 2, 0.5, 5)
    found = fit([*sets, torch.full((PLACES, 4), 2.0)], 20)
    for one in found.dense:
        assert all(torch.as_tensor(value).isfinite().all() for value in one)
    assert found.dense[2].share == 0 and not found.dense[2].into.any()


def test_a_level_is_fitted_to_coordinates_that_exist():
    g, (level,) = planted([9], 3, 0.3, seed=5)
    said = 0.7 * g + 0.2  # as a student says it: less than there is, and not centered
    found = fit_added(summed(torch.cat([level, said], 1)), 3)
    made = SharedMap(9, 3)
    made.fit(found)
    z, p = made.split(level)
    assert torch.allclose(made.join(z, p), level, atol=1e-4)
    assert explained(said, z) > 0.85
    # What the coordinates say of the level is right on average, and explains the recorded share.
    guess = made.join(said, torch.zeros_like(level))
    assert torch.allclose(guess.mean(0), level.mean(0), atol=1e-3)
    left = (level - guess).square().sum() / (level - level.mean(0)).square().sum()
    assert found.share == pytest.approx(1 - float(left), abs=1e-3)
    assert found.share > 0.6 * explained(level, g)
