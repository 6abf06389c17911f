"""The planner counts the views that the sampler yields."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.config import RunConfig
from kivfm_core.data.sampler import StepSampler
from kivfm_core.planner.passes import count_passes

FEW = st.integers(1, 12)


@settings(deadline=None, max_examples=40)
@given(images=FEW, batch=FEW, views=st.integers(1, 3), steps=FEW, calibration=FEW)
def test_the_count_is_the_samplers(
    images: int, batch: int, views: int, steps: int, calibration: int
):
    optim = {"steps": steps, "batch_size": batch, "calibration": calibration}
    config = RunConfig.model_validate({"teachers": "a", "data": {"views": views}, "optim": optim})
    passes = count_passes(config, 1, images)
    assert passes is not None
    shown = new = 0
    seen = set[tuple[int, int]]()
    for stop in (-(-calibration // batch), steps):
        for items in StepSampler(images, 1, batch, 0, stop, 0, views):
            places = {(item.image, item.view) for item in items}
            shown += batch
            new += batch * (not places <= seen)
            seen |= places
    assert passes.shown == (shown,) and passes.new == (new,)
    assert len(seen) <= passes.distinct[0] == images * views
    assert passes.fitting + passes.learning == shown
