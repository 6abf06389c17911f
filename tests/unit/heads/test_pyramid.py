"""The neck of heads: maps of a student, of whatever strides, to a pyramid's."""

from __future__ import annotations

import pytest
import torch

from kivfm_core.geometry import Frame
from kivfm_core.heads.pyramid import Pyramid, whole_cells
from kivfm_core.spec import Level
from kivfm_core.teacher import Levels


def levels_of(strides: dict[str, int], canvas: tuple[int, int]) -> tuple[list[Level], Levels]:
    known = [Level(name=n, kind="dense", channels=3 + s, stride=s) for n, s in strides.items()]
    torch.manual_seed(0)
    maps = {one.name: torch.randn(2, one.channels, *one.grid(canvas)) for one in known}
    frame = Frame(canvas, (0, 0, canvas[1], canvas[0]), canvas, (0, 0), canvas)
    return known, Levels(maps, [frame, frame])


@pytest.mark.parametrize("strides", [{"V": 14}, {"V": 16, "P4": 4, "P32": 32}, {"V": 64}, {"V": 2}])
@pytest.mark.parametrize("canvas", [(224, 224), (112, 70), (64, 128)])
def test_every_stride_has_a_map_that_all_maps_reach(
    strides: dict[str, int], canvas: tuple[int, int]
):
    known, levels = levels_of(strides, canvas)
    pyramid = Pyramid(known, (8, 16, 32), 5)
    area = whole_cells(canvas, 32)
    maps = pyramid(levels, area)
    assert [tuple(one.shape) for one in maps] == [
        (2, 5, area[0] // stride, area[1] // stride) for stride in (8, 16, 32)
    ]
    maps[0].sum().backward()
    assert all(entry[1].weight.grad.abs().sum() > 0 for entry in pyramid.entries)


def test_global_levels_are_passed_over():
    known, levels = levels_of({"V": 16}, (64, 64))
    x = Level(name="x", kind="global", channels=7)
    assert len(Pyramid([x, *known], (8, 16), 4)(levels)) == 2


def test_a_cell_lies_where_its_stride_says_also_beyond_a_canvas_that_it_does_not_divide():
    """A canvas of 112 pixels on cells of 32: what lies at 80 is in the third, whatever the map."""
    known, levels = levels_of({"V": 16}, (112, 112))
    levels.tensors["V"] = torch.arange(7.0).mul(16).add(8).expand(2, known[0].channels, 7, 7)
    pyramid = Pyramid(known, (16, 32), 1)
    for module in (pyramid.entries[0][0], pyramid.entries[0][1], *pyramid.ends):
        torch.nn.init.constant_(module.weight, 0)
        torch.nn.init.constant_(module.bias, 0)
    with torch.no_grad():  # the first channel goes through as it is
        pyramid.entries[0][0].weight[0] = 1
        pyramid.entries[0][1].weight[0, 0] = 1
        for end in pyramid.ends:
            end.weight[0, 0, 1, 1] = 1
    fine, coarse = pyramid.eval()(levels, (128, 128))
    middles = torch.tensor([8.0, 24, 40, 56, 72, 88, 104, 104])  # the border goes on
    assert torch.allclose(fine[0, 0, 0], middles, atol=0.01)
    assert torch.allclose(coarse[0, 0, 0], torch.tensor([16.0, 48, 80, 104]), atol=0.01)
