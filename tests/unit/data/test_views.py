from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kivfm_core.data.views import SMALLEST, sample_others, sample_view
from kivfm_core.geometry import plan_view

sizes = st.tuples(st.integers(1, 2000), st.integers(1, 2000))


@given(size=sizes, seed=st.integers(0, 2**31), name=st.text(max_size=20), index=st.integers(0, 99))
def test_views_are_pure_and_fit(size, seed, name, index):
    view = sample_view(size, seed, name, index)
    assert view == sample_view(size, seed, name, index)
    x0, y0, x1, y1 = view.box
    side = x1 - x0
    assert side == y1 - y0
    assert SMALLEST * min(size) - 1 <= side <= max(size)
    plan_view(size, view, 64)  # a view always overlaps its picture


def test_views_differ_by_picture_view_and_seed():
    views = {
        sample_view((300, 400), seed, name, index)
        for seed in range(3)
        for name in ("a.jpg", "b.jpg")
        for index in range(3)
    }
    assert len(views) == 18


def test_both_flips_occur():
    flips = [sample_view((300, 400), 0, "a.jpg", i).flip for i in range(100)]
    assert 30 < sum(flips) < 70


@given(size=sizes, seed=st.integers(0, 2**31), index=st.integers(0, 99))
def test_a_whole_view_holds_the_picture(size, seed, index):
    h, w = size
    x0, y0, x1, y1 = sample_view(size, seed, "a.jpg", index, whole=1.0).box
    assert x0 <= 0 <= w <= x1 and y0 <= 0 <= h <= y1
    assert x1 - x0 == max(size)


def test_the_asked_share_of_the_views_is_whole():
    boxes = [sample_view((300, 400), 0, "a.jpg", i, whole=0.5).box for i in range(200)]
    assert 70 < sum(x1 - x0 == 400 for x0, _, x1, _ in boxes) < 130


@given(count=st.integers(1, 9), seed=st.integers(0, 2**31), name=st.text(max_size=20))
def test_a_mosaic_has_three_more_pictures_and_the_same_ones_every_time(count, seed, name):
    others = sample_others(count, seed, name, 3, 1.0)
    assert others == sample_others(count, seed, name, 3, 1.0)
    assert len(others) == 3 and all(0 <= other < count for other in others)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_asked_share_of_the_views_are_mosaics(share):
    found = [bool(sample_others(9, 0, "a.jpg", index, share)) for index in range(400)]
    assert abs(sum(found) / 400 - share) < 0.08
    assert all(found) == (share == 1) and any(found) == (share > 0)
