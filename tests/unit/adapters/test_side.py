from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kivfm_core.adapters import MapPlan, build_adapter, plan_adapter, plan_side
from kivfm_core.adapters.inner_plan import plan_inner
from kivfm_core.errors import UsageError
from kivfm_core.layers.resize import resize
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.spec import Attachment


def taps(count: int, channels: int, stride: int) -> list[Attachment]:
    return [
        Attachment(module=f"blocks.{i}", channels=channels, layout="NLC", stride=stride)
        for i in range(count)
    ]


@settings(max_examples=15, deadline=None)
@given(
    stride=st.sampled_from([8, 14, 16, 32]),
    finest=st.sampled_from([4, 8, 16]),
    width=st.sampled_from([None, 32, 64]),
    count=st.integers(1, 12),
)
def test_counted_parameters_are_the_modules(stride: int, finest: int, width, count: int):
    v = MapPlan(name="V", channels=48, stride=stride)
    trunk = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5))
    weights = sum(p.numel() for p in trunk.parameters())
    for kind in ("side", "bottleneck", "lora", "full", "none"):
        plan = plan_adapter(kind, taps(count, 48, stride), 40, v, finest, width, weights)
        adapter = build_adapter(plan, trunk)
        assert sum(p.numel() for p in adapter.parameters()) == plan.parameters
        assert bool(plan.maps) == (kind == "side")


@pytest.mark.parametrize("side", [64, 97])
def test_shapes_and_identity_at_the_start(side: int):
    v = MapPlan(name="V", channels=48, stride=16)
    plan = plan_side(taps(6, 20, 16), 40, v, finest=4)
    base = {"x": torch.rand(2, 40), "V": torch.rand(2, 48, side // 16, side // 16)}
    maps = tuple(torch.rand(2, 20, 4, 4) for _ in plan.taps)
    trunk = TrunkOutput(base["x"], base["V"], maps)
    out = build_adapter(plan)(torch.rand(2, 3, side, side), trunk)
    assert torch.equal(out["x"], base["x"]) and torch.equal(out["V"], base["V"])
    assert [offered.stride for offered in plan.maps] == [4, 8, 16, 32]
    for offered in plan.maps:
        grid = -(-side // offered.stride)
        assert out[offered.name].shape == (2, offered.channels, grid, grid)


def test_four_taps_are_spread_to_the_last():
    plan = plan_side(taps(12, 20, 16), 20, MapPlan(name="V", channels=20, stride=16), 8)
    assert [tap.module for tap in plan.taps] == ["blocks.2", "blocks.5", "blocks.8", "blocks.11"]


def test_what_does_not_suit_a_base_is_refused():
    v = MapPlan(name="V", channels=48, stride=16)
    maps = [t.model_copy(update={"layout": "NCHW"}) for t in taps(3, 48, 16)]
    with pytest.raises(UsageError, match="LoRA") as caught:
        plan_adapter("lora", maps, 48, v, 8)
    assert caught.value.hint == "--set student.adapter=bottleneck"
    with pytest.raises(UsageError, match="narrow"):
        plan_adapter("side", maps, 48, v, 8, 8)


@pytest.mark.parametrize("layout", ["NLC", "NHWC", "NCHW"])
def test_bottlenecks_know_every_layout(layout):
    places = [t.model_copy(update={"layout": layout}) for t in taps(1, 48, 16)]
    adapter = build_adapter(plan_inner("bottleneck", places, 4))
    trunk = nn.ModuleDict({"blocks": nn.ModuleList([nn.Identity()])})
    x = torch.rand({"NLC": (2, 5, 48), "NHWC": (2, 3, 4, 48), "NCHW": (2, 48, 3, 4)}[layout])
    for parameter in adapter.parameters():
        nn.init.constant_(parameter, 0.5)
    with adapter.attached(trunk):
        y = trunk["blocks"][0](x)
    assert y.shape == x.shape and not torch.equal(y, x)
    assert trunk["blocks"][0](x) is x


def inputs(plan, grid: int = 4, batch: int = 2):
    side = 16 * grid
    maps = tuple(torch.rand(batch, tap.channels, grid, grid) for tap in plan.taps)
    trunk = TrunkOutput(torch.rand(batch, 40), torch.rand(batch, 48, grid, grid), maps)
    return torch.rand(batch, 3, side, side), trunk


@pytest.fixture
def plan():
    return plan_side(taps(2, 20, 16), 40, MapPlan(name="V", channels=48, stride=16), 4, 32)


def test_it_compiles_to_one_graph(plan):
    adapter, given = build_adapter(plan), inputs(plan)
    names = [*adapter.state_dict()]
    compiled = torch.compile(adapter, fullgraph=True, backend="eager")(*given)
    for name, made in adapter(*given).items():
        assert torch.equal(compiled[name], made)
    assert [*adapter.state_dict()] == names


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_it_computes_in_the_precision_that_it_is_given(plan, dtype):
    adapter = build_adapter(plan).to(dtype)
    canvas, (x, v, maps) = inputs(plan)
    trunk = TrunkOutput(x.to(dtype), v.to(dtype), tuple(map_.to(dtype) for map_ in maps))
    features = adapter(canvas.to(dtype), trunk)
    assert {x.dtype for x in features.values()} == {dtype}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_it_exports_with_a_free_batch(plan):
    adapter = build_adapter(plan).eval()
    many = torch.export.Dim("many", min=1, max=64)
    shapes = ({0: many}, TrunkOutput({0: many}, {0: many}, ({0: many},) * len(plan.taps)))
    exported = torch.export.export(adapter, inputs(plan), dynamic_shapes=shapes).module()
    given = inputs(plan, batch=3)
    for name, made in adapter(*given).items():
        torch.testing.assert_close(exported(*given)[name], made)


def learn(adapter, given) -> tuple[dict[str, torch.Tensor], int]:
    """The gradients of some loss, and the bytes that were kept for them."""
    kept: dict[int, int] = {}

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    adapter.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = sum(made.square().mean() for made in adapter(*given).values())
    bytes_kept = sum(kept.values())
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in adapter.named_parameters() if p.grad is not None}
    return gradients, bytes_kept


def test_what_is_computed_again_is_not_kept_and_the_gradient_is_the_same(plan):
    adapter, given = build_adapter(plan), inputs(plan)
    gradients, kept = learn(adapter, given)
    adapter.set_grad_checkpointing()
    again, less = learn(adapter, given)
    assert gradients.keys() == again.keys()
    assert all(torch.equal(gradients[name], again[name]) for name in gradients)
    assert less < 0.6 * kept


def test_resize_averages_when_shrinking():
    x = torch.rand(1, 2, 32, 32)
    assert torch.allclose(resize(x, (4, 4)).mean(), x.mean(), atol=1e-5)
    assert resize(x, (32, 32)) is x
