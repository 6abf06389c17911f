"""Depth against measured depth: the score, the drawing and the form, on values known by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kivfm_core.errors import DataError
from kivfm_core.geometry import plan_frame
from kivfm_core.prediction.depth import colored, draw_depth, nearness, summary, turbo
from kivfm_core.prediction.draw import Drawing
from kivfm_core.predictions import DepthMap, DepthMaps
from kivfm_core.spec import InputContract
from kivfm_core.tasks.checks import check_depth
from kivfm_core.tasks.meters.depth import Depth, align, compare

H, W = 6, 8


@pytest.fixture
def true():
    """Meters, different everywhere."""
    return torch.linspace(1, 9, H * W, dtype=torch.float64).view(H, W)


class Known:
    """Images `0.jpg`, ... of known depth."""

    def __init__(self, *maps):
        self.maps = maps
        self.paths = tuple(Path(f"{index}.jpg") for index in range(len(maps)))

    def depth(self, index):
        return self.maps[index].double().numpy()


CONTRACT = InputContract(policy="short-side", size=H)


def relative(depth):
    return DepthMap(depth, "relative")


def metric(depth):
    return DepthMap(depth, "metric")


def test_inverse_depth_in_another_scale_and_shift_is_right(true):
    delta1, absrel = compare(relative(3 / true + 7), true)
    assert delta1 == 1
    assert absrel == pytest.approx(0, abs=1e-9)


def test_metric_depth_is_not_aligned(true):
    assert compare(metric(true), true) == (1, 0)
    delta1, absrel = compare(metric(1.2 * true), true)
    assert (delta1, absrel) == (1, pytest.approx(0.2))
    delta1, absrel = compare(metric(1.3 * true), true)
    assert (delta1, absrel) == (0, pytest.approx(0.3))
    # Too near counts as much as too far: 1 / 0.75 is above 1.25.
    delta1, absrel = compare(metric(0.75 * true), true)
    assert (delta1, absrel) == (0, pytest.approx(0.25))


def test_a_part_that_is_wrong_counts_by_its_pixels(true):
    predicted = true.clone()
    predicted[: H // 3] *= 2
    delta1, absrel = compare(metric(predicted), true)
    assert delta1 == pytest.approx(2 / 3)
    assert absrel == pytest.approx(1 / 3)


def test_alignment_is_least_squares(true):
    values, wanted = torch.rand(50, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    system = torch.stack([values, torch.ones_like(values)], 1)
    solution = torch.linalg.lstsq(system, wanted[:, None]).solution
    torch.testing.assert_close(align(values, wanted), (system @ solution)[:, 0])
    # Inverse depths 1 and 1/2 predicted as the same number: aligned to 3/4, so depth 4/3.
    delta1, absrel = compare(relative(torch.ones(1, 2)), torch.tensor([[1.0, 2.0]]).double())
    assert delta1 == 0
    assert absrel == pytest.approx((1 / 3 + 1 / 3) / 2)


def test_pixels_without_depth_do_not_count(true):
    predicted = 1 / true
    predicted[0] = 100.0
    holes = true.clone()
    holes[0] = 0
    assert compare(relative(predicted), holes)[0] == 1
    assert compare(relative(predicted), true)[0] < 1
    predicted[0] = torch.nan  # the canvas does not show it
    assert compare(relative(predicted), true)[0] == 1
    assert compare(relative(predicted), torch.zeros_like(true)) is None


def test_a_map_that_is_not_finite_is_wrong(true):
    predicted = true.clone()
    predicted[0] = torch.inf
    delta1, absrel = compare(metric(predicted), true)
    assert delta1 == pytest.approx(1 - 1 / H)
    assert absrel == torch.inf


def test_the_meter_takes_batches(true):
    data = Known(true, true, 0 * true)
    frames = [plan_frame((H, W), CONTRACT)] * 2
    meter = Depth(data)
    meter.update(DepthMaps(torch.stack([true, 1.3 * true]), "metric"), [0, 1], frames)
    meter.update(DepthMaps(true[None], "metric"), [2], frames[:1])
    assert meter.compute() == 0.5
    # Of draws: the first image twice, all of them, and the one that has no depth.
    drawn = meter.resample(np.array([[2.0, 1, 0], [1, 1, 1], [0, 0, 3]]))
    assert drawn == pytest.approx([2 / 3, 0.5, np.nan], nan_ok=True)
    assert meter.absrel == [pytest.approx(0, abs=1e-6), pytest.approx(0.3)]
    with pytest.raises(DataError, match="no image"):
        Depth(data).compute()


def test_a_map_of_another_size_than_its_image_is_refused(true):
    meter = Depth(Known(true[1:]))
    frame = plan_frame((H, W), CONTRACT)
    with pytest.raises(DataError, match=r"0.jpg has \(6, 8\) pixels"):
        meter.update(DepthMaps(true[None], "metric"), [0], [frame])


def test_chance_is_the_best_single_distance():
    near, far = torch.full((H, W), 2.0), torch.full((H, W), 9.0)
    mixed = near.clone()
    mixed[: H // 3] = 9.0
    meter, frame = Depth(Known(near, mixed, far)), plan_frame((H, W), CONTRACT)
    for index in range(3):
        meter.update(DepthMaps(torch.ones(1, H, W), "metric"), [index], [frame])
    # Two meters everywhere: all of the first, two thirds of the second, none of the third.
    assert meter.chance().score == pytest.approx((1 + 2 / 3) / 3)
    guess = Depth(meter.data)
    guess.update(DepthMaps(torch.full((3, H, W), 2.0), "metric"), [0, 1, 2], [frame] * 3)
    assert guess.compute() == pytest.approx(meter.chance().score)
    meter.update(DepthMaps(torch.ones(1, H, W), "relative"), [0], [frame])
    assert meter.chance() is None  # each image's own best distance is fitted to it
    assert Depth(meter.data).chance() is None


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float64, (5, 7), elements=st.floats(0.1, 80)),
    arrays(np.float64, (5, 7), elements=st.one_of(st.just(0.0), st.floats(0.1, 80))),
)
def test_the_score_is_numpys(predicted, measured):
    found = compare(metric(torch.from_numpy(predicted)), torch.from_numpy(measured))
    known = measured > 0
    if not known.any():
        assert found is None
        return
    p, t = predicted[known], measured[known]
    wanted = (np.maximum(p / t, t / p) < 1.25).mean(), (np.abs(p - t) / t).mean()
    assert found == pytest.approx(wanted)


def test_processes_that_share_the_images_measure_what_one_does(true):
    data, frame = Known(true, 2 * true, 3 * true), plan_frame((H, W), CONTRACT)
    meters = [Depth(data) for _ in range(3)]
    for index, scale in enumerate((1, 1.9, 5)):
        predicted = DepthMaps((scale * true)[None], "metric")
        for meter in (meters[0], meters[1 + index % 2]):
            meter.update(predicted, [index], [frame])
    meters[1].absorb(meters[2].seen())
    assert meters[1].compute() == meters[0].compute()
    assert meters[1].chance() == meters[0].chance()


def test_near_is_warm_in_both_kinds(true):
    assert nearness(metric(true))[0, 0] == 1 and nearness(metric(true))[-1, -1] == 0
    assert nearness(relative(true))[0, 0] == 0 and nearness(relative(true))[-1, -1] == 1
    near, far = colored(metric(true))[:, 0, 0].int(), colored(metric(true))[:, -1, -1].int()
    assert near[0] > near[2] and far[2] > far[0]
    assert not nearness(relative(torch.ones(2, 2))).any()


def test_the_map_is_drawn_in_place_of_the_image(true):
    drawing = Drawing(torch.full((3, H, W), 7, dtype=torch.uint8))
    rows = draw_depth(drawing, metric(true), None, None)
    assert rows == summary(metric(true))
    zoom = drawing.zoom
    drawn = drawing.image[:, : H * zoom : zoom, : W * zoom : zoom]
    assert torch.equal(drawn, colored(metric(true)))
    assert drawing.image.shape[1] > H * zoom  # the rows are below


def test_what_is_unknown_is_black(true):
    true[0, 0] = torch.nan
    assert not colored(metric(true))[:, 0, 0].any()
    assert not colored(metric(torch.full((2, 2), torch.nan))).any()
    assert summary(metric(torch.full((2, 2), torch.nan))) == []


def test_turbo_goes_from_blue_over_green_to_red():
    ends = turbo(torch.tensor([[0.1, 0.5, 0.9]]))[:, 0].argmax(0)
    assert ends.tolist() == [2, 1, 0]


def test_rows_are_the_least_the_middle_and_the_largest(true):
    rows = summary(metric(true))
    assert [row["label"] for row in rows] == ["minimum", "median", "maximum"]
    assert [row["meters"] for row in rows] == [1, pytest.approx(5, abs=0.1), 9]
    assert [row["inverse_depth"] for row in summary(relative(true))] == [
        row["meters"] for row in rows
    ]


def test_the_kit_names_what_is_wrong_with_a_form(true):
    assert check_depth(DepthMaps(true[None], "metric"), None) == ""
    assert check_depth(DepthMaps(-true[None], "relative"), None) == ""
    assert "negative" in check_depth(DepthMaps(-true[None], "metric"), None)
    assert "[B, h, w]" in check_depth(DepthMaps(true, "metric"), None)
    assert "finite" in check_depth(DepthMaps(true[None] / 0, "metric"), None)
    assert "disparity" in check_depth(DepthMaps(true[None], "disparity"), None)


def test_maps_hide_what_the_canvas_does_not_show():
    frame = plan_frame((4, 6), InputContract(policy="short-side-crop", size=4))
    (found,) = DepthMaps(torch.ones(1, 4, 4), "metric").to_original([frame])
    assert found.depth.isnan().sum() == 8
    assert found.depth.nansum() == 16
