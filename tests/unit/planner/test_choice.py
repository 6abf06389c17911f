"""Which outputs are cached where there is no room for all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kivfm_core.planner.choice import Demand, choose
from kivfm_core.planner.networks import Network


def needed(name: str, size: int, gmacs: float, spared: int = 10) -> Demand:
    return Demand(Network(name, None, 1, gmacs, name), 2 * spared, spared, size)


CANVAS = needed("canvas", 10, 0.0)
DEMANDS = st.lists(
    st.builds(needed, st.text(min_size=1), st.integers(0, 100), st.floats(0.1, 9)),
    unique_by=lambda d: d.network.name,
)


@given(DEMANDS, st.integers(0, 300), st.booleans())
def test_cached_outputs_fit_and_all_that_fit_are_cached(
    demands: list[Demand], space: int, measured: bool
):
    demands = [CANVAS, *(d for d in demands if d.network.name != "canvas")]
    rates = {d.network.rate: d.network.gmacs for d in demands} if measured else {}
    kept = choose(demands, rates, space)
    taken = sum(d.bytes for d in demands if d.network.name in kept)
    assert taken <= space
    left = [d for d in demands if d.network.name not in kept]
    assert all(d is CANVAS or d.bytes > space - taken for d in left)
    assert ("canvas" in kept) == (not left)


def test_seconds_decide_and_estimates_where_they_are_not_known():
    demands = [needed("slow", 10, 1.0), needed("large", 10, 2.0), needed("huge", 100, 3.0)]
    assert choose(demands, {}, 10) == {"large"}
    assert choose(demands, {"slow": 9.0}, 10) == {"large"}
    assert choose(demands, {"slow": 9.0, "large": 1.0, "huge": 1.0}, 10) == {"slow"}
    assert choose(demands, {}, 20) == {"slow", "large"}
