from __future__ import annotations

import re
from math import inf, nan

import pytest

from kivfm_core.reporting.curves import draw_curves


def places(path):
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) ([\d.e-]+)", path)]


def test_a_linear_axis_begins_at_zero_and_has_round_ticks():
    chart = draw_curves({"a": [(0, 3.0), (50, 1.5), (100, 0.5)]}, 100)
    assert not chart.is_log
    assert [tick.label for tick in chart.y] == ["0", "1", "2", "3"]
    assert [tick.label for tick in chart.x] == ["0", "20", "40", "60", "80", "100"]
    assert places(chart.lines[0].path)[::2] == [(0, 0), (100, pytest.approx(83.33, abs=0.01))]


def test_a_wide_range_asks_for_a_logarithmic_axis():
    chart = draw_curves({"a": [(0, 100.0), (10, 1.0)], "b": [(0, 10.0), (10, 0.0)]}, 10)
    assert chart.is_log and [tick.label for tick in chart.y] == ["1", "10", "100"]
    assert [places(line.path) for line in chart.lines] == [[(0, 0), (100, 100)], [(0, 50)]]


def test_values_below_zero_are_never_on_a_logarithmic_axis():
    chart = draw_curves({"a": [(0, -1.0), (10, 100.0)]}, 10)
    assert not chart.is_log and chart.y[0].label == "-50"


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e300])
def test_what_is_no_number_is_a_gap(bad):
    chart = draw_curves({"a": [(0, 1.0), (1, 1.0), (2, bad), (3, 1.0), (4, 1.0)]}, 4)
    assert chart.lines[0].path.count("M") == 2 and "n" not in chart.lines[0].path


def test_many_points_are_averaged_and_the_last_step_stays():
    chart = draw_curves({"a": [(i, float(i % 2)) for i in range(1, 100_001)]}, 100_000)
    assert chart.each == 200
    found = places(chart.lines[0].path)
    assert len(found) == 500 and found[-1][0] == 100


@pytest.mark.parametrize("curves", [{}, {"a": []}, {"a": [(1, 2.0)]}, {"a": [(1, nan), (2, nan)]}])
def test_without_two_points_nothing_is_drawn(curves):
    assert draw_curves(curves, 10) is None


@pytest.mark.parametrize("value", [0.0, 1e-300, 5.0])
def test_a_flat_curve_has_a_place(value):
    chart = draw_curves({"a": [(0, value), (1, value)]}, 1)
    assert len(places(chart.lines[0].path)) == 2 and len(chart.y) > 1
