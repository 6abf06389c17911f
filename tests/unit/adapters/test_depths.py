"""The base's own maps at several depths: which are taken, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kivfm_core.adapters.depths_plan import DepthsPlan
from kivfm_core.adapters.plan import AdapterRequest, MapPlan
from kivfm_core.composition.composition import Composition
from kivfm_core.spec import Attachment


def request(strides: list[int], layout: str, *levels: str) -> AdapterRequest:
    places = tuple(
        Attachment(module=f"blocks.{i}", channels=8, layout=layout, stride=stride)
        for i, stride in enumerate(strides)
    )
    return AdapterRequest(
        attachments=places,
        x_channels=8,
        v=MapPlan(name="V", channels=8, stride=strides[-1], rounding="floor"),
        finest=4,
        levels=tuple(MapPlan(name=name, channels=8, stride=8) for name in levels),
    )


def test_a_plain_vit_gives_three_depths_before_its_last_map():
    plan = DepthsPlan.plan(request([16] * 12, "NLC"))
    assert [place.module for place in plan.attachments] == ["blocks.2", "blocks.5", "blocks.8"]
    assert [(one.name, one.stride, one.rounding) for one in plan.maps] == [
        ("D1", 16, "floor"), ("D2", 16, "floor"), ("D3", 16, "floor"),
    ]  # fmt: skip


def test_a_pyramid_of_stages_gives_those_that_memory_can_hold():
    plan = DepthsPlan.plan(request([2, 4, 8, 16, 32], "NCHW"))
    assert [one.stride for one in plan.maps] == [4, 8, 16]


def test_further_levels_come_after_the_depths_and_names_differ():
    plan = DepthsPlan.plan(request([16, 16], "NLC", "p3", "p4"))
    assert [one.name for one in plan.maps] == ["D1", "p3", "p4"]
    with pytest.raises(ValidationError, match="have one name"):
        DepthsPlan.plan(request([16, 16], "NLC", "D1"))


def test_a_strangers_plan_reads_no_cell_larger_than_a_canvas(composition: Composition):
    far = MapPlan(name="far", channels=8, stride=2**20)
    record = composition.model_dump(mode="json") | {
        "adapter": DepthsPlan(levels=(far,)).model_dump(mode="json"),
        "aligners": [],
    }
    with pytest.raises(ValidationError, match="a cell that an adapter reads is larger"):
        Composition.model_validate(record)
