"""Dense features as colors: what differs is seen, what every place has is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kivfm_core.prediction.feature_colors import (
    components,
    feature_colors,
    paint,
    turned,
    without_places,
)


def halves(count=4, size=(6, 8), channels=5):
    """Maps whose left and right halves have features of their own, a little noisy."""
    generator = torch.Generator().manual_seed(0)
    maps = []
    for i in range(count):
        one = 0.01 * torch.randn(channels, *size, generator=generator)
        cut = 2 + i % 5
        one[0, :, :cut] += 4
        one[1, :, cut:] += 2
        maps.append(one)
    return maps


def test_an_image_of_its_own_size_each_and_one_scale_for_all():
    maps = [*halves(1, (6, 8)), *halves(1, (9, 4))]
    colors = feature_colors(maps)
    assert [c.shape for c in colors] == [(6, 8, 3), (9, 4, 3)]
    assert all(c.dtype == np.uint8 for c in colors)
    # The same feature has the same color in both.
    one, other = colors[0][:, 0, 0].astype(int), colors[1][:, 0, 0].astype(int)
    assert abs(one.mean() - other.mean()) < 10
    assert abs(int(colors[0][0, 0, 0]) - int(colors[0][0, -1, 0])) > 200


def test_what_every_image_has_at_a_place_is_removed():
    place = 50 * torch.randn(5, 6, 8, generator=torch.Generator().manual_seed(1))
    plain, marked = halves(8), [one + place for one in halves(8)]
    for one, other in zip(without_places(plain), without_places(marked), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    alone = without_places(marked[:2])
    assert torch.equal(alone[0], marked[0])


def test_a_model_in_other_coordinates_gets_the_same_colors():
    maps = [torch.randn(7, 6, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    maps = [one * torch.tensor([9, 5, 3, 1, 1, 1, 1.0])[:, None, None] for one in maps]
    rotation = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(9)))[0]
    other = [torch.einsum("ij,jhw->ihw", rotation, one) for one in maps]
    like = components(maps)
    for one, same in zip(turned(components(other), like), like, strict=True):
        assert torch.allclose(one, same, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2])
def test_fewer_than_three_channels_have_colors(channels):
    colors = feature_colors([torch.randn(channels, 4, 4)])
    assert colors[0].shape == (4, 4, 3)


def test_maps_of_one_value_are_one_color():
    assert len(np.unique(paint(components([torch.ones(4, 3, 3)]))[0])) == 1
