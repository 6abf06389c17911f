"""The head for depth, on maps whose content is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.tv_tensors import Mask

from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.head_training.augment import augment
from kivfm_core.heads.depth import DepthHead
from kivfm_core.heads.head import Meters
from kivfm_core.heads.table import ENCODER, HEADS, SPLIT
from kivfm_core.heads.targets import depth_target
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_core.tasks.checks import check_depth
from kivfm_core.teacher import Levels

SIDE = 64


def make_head(*strides: int) -> DepthHead:
    levels = tuple(Level(name=f"P{s}", kind="dense", channels=4, stride=s) for s in strides)
    names = tuple(level.name for level in levels)
    spec = TeacherSpec(
        name="head/x", encoder=ENCODER, levels=levels, parameters=1,
        tasks=(TaskSpec(task="depth", levels=names, decoder=HEADS["depth"].decoder),),
        input=InputContract(policy="letterbox", size=SIDE),
        weights=Weights(source="run:head/x", split=SPLIT),
    )  # fmt: skip
    torch.manual_seed(0)
    return DepthHead(spec)


def make_batch(head: DepthHead, depth: torch.Tensor) -> Levels:
    """Maps that say how deep an image is."""
    frame = Frame((SIDE, SIDE), (0, 0, SIDE, SIDE), (SIDE, SIDE), (0, 0), (SIDE, SIDE))
    maps = {}
    for level in head.levels:
        seen = torch.nn.functional.interpolate(depth[:, None], level.grid((SIDE, SIDE)))
        maps[level.name] = seen * torch.linspace(-1, 1, level.channels).view(1, -1, 1, 1)
    return Levels(maps, [frame] * len(depth))


@pytest.mark.parametrize("strides", [(4, 8), (16,)])
def test_it_learns_meters_where_there_are_some(strides: tuple[int, ...]):
    head = make_head(*strides)
    depth = torch.ones(2, SIDE, SIDE)
    depth[0, :, SIDE // 2 :], depth[1, : SIDE // 2] = 12.0, 5.0
    measured = depth.clone()
    measured[:, ::3] = 0
    given, targets = make_batch(head, depth), [{"depth": Mask(one)} for one in measured]
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.03)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(given, targets).backward()
        optimizer.step()
    head.eval()
    with torch.no_grad():
        found = head(given)
    assert found.kind == "metric" and check_depth(found, None) == ""
    maps = torch.stack([one.depth for one in found.to_original(given.frames)])
    ratio = torch.maximum(maps / depth, depth / maps)
    assert (ratio < 1.25).float().mean() > 0.8


def test_the_loss_is_eigens():
    head = make_head(8).eval()
    with torch.no_grad():
        head.measure.weight.zero_()
        head.measure.bias.fill_(math.log(2))
    given = make_batch(head, torch.ones(2, SIDE, SIDE))

    def loss(*depths: torch.Tensor) -> float:
        with torch.no_grad():
            return float(head.loss(given, [{"depth": Mask(depth)} for depth in depths]))

    even, half = torch.full((SIDE, SIDE), 4.0), torch.full((SIDE, SIDE), 4.0)
    half[SIDE // 2 :] = 2.0
    d = math.log(2)
    assert loss(even, even) == pytest.approx(d * d - d * d / 2)
    assert loss(even, half) == pytest.approx((d * d / 2 + d * d / 2 - (d / 2) ** 2 / 2) / 2)
    # What was not measured, and images without a measured place, change nothing.
    holes = half.clone()
    holes[SIDE // 2 :] = 0
    nothing = torch.full((SIDE, SIDE), -1.0)
    assert loss(holes, nothing) == pytest.approx(d * d / 2)
    assert loss(nothing, nothing) == 0


def test_an_image_without_depth_teaches_nothing():
    head = make_head(8)
    given, nothing = make_batch(head, torch.ones(2, SIDE, SIDE)), torch.zeros(SIDE, SIDE)
    head.loss(given, [{"depth": Mask(nothing)}] * 2).backward()
    gradients = [p.grad for p in head.parameters() if p.grad is not None]
    assert gradients and not any(bool(grad.any()) for grad in gradients)


def test_depth_stays_a_number_whatever_the_weights():
    head = make_head(8).eval()
    with torch.no_grad():
        head.measure.bias.fill_(1000.0)
        assert check_depth(head(make_batch(head, torch.ones(1, SIDE, SIDE))), None) == ""


class Rooms:
    """An image of 4 x 8 pixels, farther from left to right."""

    def depth(self, index: int) -> np.ndarray:
        return np.broadcast_to(np.arange(1.0, 9.0), (4, 8)).copy()


def test_meters_are_taken_where_the_centers_of_pixels_lie():
    frame = plan_frame((4, 8), InputContract(policy="letterbox-center", size=4))
    depth = depth_target(Rooms(), 0, frame, ())["depth"]
    assert depth.dtype == torch.float32 and tuple(depth.shape) == frame.canvas
    assert depth[1].tolist() == depth[2].tolist() == [2, 4, 6, 8]
    assert (depth[[0, 3]] == -1).all()  # the padding above and below
    crop = plan_frame((4, 8), InputContract(policy="short-side-crop", size=4))
    assert depth_target(Rooms(), 0, crop, ())["depth"][0].tolist() == [3, 4, 5, 6]


def test_depth_moves_with_its_image_and_what_is_seen_larger_is_nearer():
    # A wall that is far, with a board on it: twice as wide a board is half as far away.
    canvas, depth = torch.zeros(3, 64, 64), torch.full((64, 64), 8.0)
    depth[24:40, 24:40] = 2.0
    torch.manual_seed(3)
    zooms = set()
    for _ in range(20):
        _, moved = augment(canvas, {"depth": Meters(depth)})
        found = moved["depth"].as_subclass(torch.Tensor)
        near, far = found[found > 0].unique().tolist()
        assert far / near == pytest.approx(4)
        width = (found.isclose(torch.tensor(near)).any(0)).sum().item()
        assert width == pytest.approx(16 * 2 / near, abs=1.5)
        zooms.add(near)
    assert min(zooms) < 1.8 and max(zooms) > 2.2


@pytest.mark.parametrize("kind", [Mask, Meters])
def test_what_comes_from_outside_the_image_is_not_measured(kind: type[Mask]):
    torch.manual_seed(0)
    ones = torch.ones(32, 32)
    seen = [augment(torch.zeros(3, 32, 32), {"depth": kind(ones)})[1] for _ in range(20)]
    assert any((found["depth"] < 0).any() for found in seen)
