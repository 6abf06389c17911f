from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.aligners.sums import Sums
from kivfm_core.aligners.table import ALIGNERS, build_aligner
from kivfm_core.aligners.targets import TARGETS
from kivfm_core.spec import Level


def plan(
    channels: int, latent: int, kind: str = "latent", dense: bool = True, **more
) -> AlignerPlan:
    level = Level(
        name="d",
        kind="dense" if dense else "global",
        channels=channels,
        stride=8 if dense else None,
    )
    return ALIGNERS[kind](
        teacher="t/x", level=level, maps={"V": 10, "P4": 8}, x_channels=10, hidden=6,
        latent=latent, **more,
    )  # fmt: skip


def fitted(aligner, level: torch.Tensor):
    sums = Sums(level.shape[1])
    for batch in level.split(2):
        sums.add(batch)
    aligner.fit(sums.count, sums.total, sums.outer)
    return aligner


def correlated(channels: int, scale: float = 300.0) -> torch.Tensor:
    torch.manual_seed(channels)
    mix = torch.randn(channels, channels)
    noise = torch.randn(6, channels, 5, 5)
    return torch.einsum("oc,bchw->bohw", mix, noise) * scale + 7


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(2, 24), scale=st.sampled_from([1e-2, 1.0, 1e3]))
def test_latent_is_standardized_and_comes_back(channels: int, scale: float):
    level = correlated(channels, scale)
    aligner = fitted(build_aligner(plan(channels, channels)), level)
    latent = aligner.to_latent(level)
    assert latent.mean((0, 2, 3)).abs().max() < 1e-2
    assert abs(latent.square().mean() - 1) < 1e-2
    assert torch.allclose(aligner.to_level(latent), level, rtol=1e-2, atol=1e-2 * scale)


def test_latent_coordinates_are_uncorrelated_and_ordered():
    level = correlated(12)
    latent = fitted(build_aligner(plan(12, 12)), level).to_latent(level)
    flat = latent.movedim(1, -1).flatten(0, -2)
    covariance = flat.T @ flat / len(flat)
    off = covariance - covariance.diagonal().diag()
    assert off.abs().max() < 1e-3
    assert (covariance.diagonal().diff() <= 1e-4).all()


def test_channels_that_never_move_take_no_part():
    level = correlated(12)
    level[:, [3, 7]] = 0
    aligner = fitted(build_aligner(plan(12, 12)), level)
    latent = aligner.to_latent(level)
    assert latent[:, :10].any(1).all() and not latent[:, 10:].any()
    assert torch.allclose(aligner.to_level(latent), level, rtol=1e-2, atol=1e-2)
    still = fitted(build_aligner(plan(12, 12)), torch.ones(4, 12, 5, 5))
    assert torch.allclose(
        still.to_level(still.to_latent(level[:4] * 0 + 1)), torch.ones(4, 12, 5, 5)
    )


def test_narrow_latent_says_what_it_keeps():
    level = correlated(12)
    aligner = fitted(build_aligner(plan(12, 5)), level)
    error = (aligner.to_level(aligner.to_latent(level)) - level) / level.std(
        (0, 2, 3), keepdim=True
    )
    assert abs((1 - error.square().mean()) - aligner.round_trip_share) < 1e-2
    assert 0 < aligner.round_trip_share < 1


def test_narrow_latent_has_unit_variance_too():
    level = correlated(12)
    latent = fitted(build_aligner(plan(12, 5)), level).to_latent(level)
    assert abs(latent.square().mean() - 1) < 1e-2


def test_sums_do_not_depend_on_batches():
    level = correlated(7)
    whole, parts = Sums(7), Sums(7)
    whole.add(level)
    for batch in level.split(1):
        parts.add(batch)
    assert whole.count == parts.count
    assert torch.allclose(whole.outer, parts.outer)


def test_parameters_are_counted_without_torch():
    for latent, dense, more in (
        (5, True, {}),
        (12, True, {"projector": "attention"}),
        (12, True, {"projector": "convolution"}),
        (12, False, {"projector": "convolution"}),
        (12, False, {"target": "direction"}),
    ):
        p = plan(12, latent, dense=dense, **more)
        aligner = build_aligner(p)
        held = [*aligner.parameters(), *aligner.buffers()]
        assert sum(t.numel() for t in held) == p.parameters


def test_identity_aligner_returns_the_students_own_features():
    aligner = fitted(build_aligner(plan(10, 10, "identity")), correlated(10))
    v = torch.randn(2, 10, 4, 4)
    predicted = aligner.to_level(aligner.predict({"x": v.mean((2, 3)), "V": v}, (4, 4)))
    assert torch.allclose(predicted, v, atol=1e-3)


def test_a_global_level_is_predicted_from_the_whole_image():
    torch.manual_seed(0)
    aligner = build_aligner(plan(12, 12, dense=False))
    torch.nn.init.normal_(aligner.head.weight)
    features = {
        "x": torch.randn(2, 10),
        "V": torch.randn(2, 10, 4, 4),
        "P4": torch.randn(2, 8, 8, 8),
    }
    before = aligner.predict(features, None)
    assert before.shape == (2, 12)
    for corner in ((0, 0), (-1, -1)):
        features["P4"][0, :, corner[0], corner[1]] += 5 * torch.randn(8)
        after = aligner.predict(features, None)
        assert not torch.allclose(before[0], after[0]) and torch.allclose(before[1], after[1])
        before = after


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(2, 24), scale=st.sampled_from([1e-2, 1.0, 1e3]))
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_leads_back(target: str, channels: int, scale: float):
    level = correlated(channels, scale)
    aligner = fitted(build_aligner(plan(channels, channels, target=target)), level)
    back = aligner.to_level(aligner.to_latent(level))
    assert torch.allclose(back, level, rtol=1e-2, atol=1e-2 * scale)
    assert aligner.round_trip_share == pytest.approx(1, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(2, 24), scale=st.sampled_from([1.0, 1e3]))
def test_channel_and_scale_give_every_channel_unit_variance(channels: int, scale: float):
    level = correlated(channels, scale)
    std, mean = torch.std_mean(level, (0, 2, 3), correction=0)
    for target, meant in (("channel", torch.zeros(channels)), ("scale", mean / std)):
        aligner = fitted(build_aligner(plan(channels, channels, target=target)), level)
        spread, center = torch.std_mean(aligner.to_latent(level), (0, 2, 3), correction=0)
        assert torch.allclose(spread, torch.ones(channels), atol=1e-3)
        assert torch.allclose(center, meant, atol=1e-3)


@pytest.mark.parametrize("channels", [2, 3, 8, 21])
def test_phi_s_is_a_rotation_and_one_scale_to_unit_variances(channels: int):
    level = correlated(channels)
    aligner = fitted(build_aligner(plan(channels, channels, target="phi-s")), level)
    flat = aligner.to_latent(level).movedim(1, -1).flatten(0, -2)
    assert flat.mean(0).abs().max() < 1e-3
    assert torch.allclose(flat.square().mean(0), torch.ones(channels), atol=1e-3)
    axes = aligner.axes / aligner.axes[:, 0].norm()
    assert torch.allclose(axes.T @ axes, torch.eye(channels), atol=1e-5)


def test_dispersion_is_the_mean_squared_angle_to_the_mean():
    torch.manual_seed(0)
    vectors = torch.randn(4000, 64) * 0.3 + torch.randn(64)
    aligner = fitted(build_aligner(plan(64, 64, dense=False, target="direction")), vectors)
    cosine = torch.nn.functional.cosine_similarity(vectors, vectors.mean(0), dim=1)
    assert float(aligner.unit) == pytest.approx(float(cosine.acos().square().mean()), rel=0.05)


@pytest.mark.parametrize(
    ("projector", "near", "far"),
    [("mlp", False, False), ("convolution", True, False), ("attention", True, True)],
)
def test_how_far_a_place_sees_others(projector: str, near: bool, far: bool):
    torch.manual_seed(0)
    aligner = build_aligner(plan(12, 12, projector=projector))
    torch.nn.init.normal_(aligner.head.weight)
    features = {"V": torch.randn(1, 10, 8, 8), "P4": torch.randn(1, 8, 8, 8)}
    before = aligner.predict(features, (8, 8))
    features["V"][0, :, 0, 0] += 3 * torch.randn(10)
    changed = (aligner.predict(features, (8, 8)) - before).abs().amax((0, 1)) > 1e-4
    assert changed[0, 0]
    assert changed[2, 2] == near
    assert changed[3:, 3:].any() == far


def test_learned_axes_begin_as_the_fixed_ones_and_are_held_by_their_round_trip():
    level = correlated(12)
    fixed, learned = (
        fitted(build_aligner(plan(12, 8, target=target)), level)
        for target in ("principal", "learned")
    )
    assert fixed.lost(level) == 0.0
    latent = fixed.to_latent(level)
    assert torch.equal(learned.to_latent(level), latent)
    assert torch.allclose(learned.to_level(latent), fixed.to_level(latent), rtol=1e-5)
    counted = sum(v.numel() for v in learned.state_dict().values())
    assert counted == learned.plan.parameters
    least = learned.lost(level).mean()
    with torch.no_grad():
        learned.axes.mul_(0.5)
    assert learned.lost(level).mean() > least + 0.1
    learned.lost(level).mean().backward()
    assert learned.axes.grad.any()
