"""Maps of one canvas are read where another canvas of the same image has its cells."""

from __future__ import annotations

import pytest
import torch

from kivfm_core.geometry import Frame, View, plan_frame, plan_view
from kivfm_core.layers.resample import resample
from kivfm_core.spec import InputContract

SIZE = (90, 120)
POLICIES = ["stretch", "letterbox", "letterbox-center", "short-side", "short-side-crop"]


def frame_of(policy: str, size: int = 64) -> Frame:
    return plan_frame(SIZE, InputContract(policy=policy, size=size, multiple=16))


def ramp(frame: Frame, grid: tuple[int, int]) -> torch.Tensor:
    """Maps `[1, 2, *grid]` whose values are their cells' places in the original, x and y."""
    h, w = grid
    xs = [frame.to_original((j + 0.5) * frame.canvas[1] / w, 0)[0] for j in range(w)]
    ys = [frame.to_original(0, (i + 0.5) * frame.canvas[0] / h)[1] for i in range(h)]
    x = torch.tensor(xs).expand(h, w)
    return torch.stack([x, torch.tensor(ys)[:, None].expand(h, w)])[None]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("cells", [5, 16, 50])
def test_every_cell_is_read_where_it_lies_in_the_image(policy: str, cells: int):
    shared, own, grid = frame_of("stretch"), frame_of(policy, 48), (cells, cells + 3)
    found = resample(ramp(shared, (16, 16)), [shared], [own], grid)[0]
    true = ramp(own, grid)[0]
    # Near the border, where cells are missing on one side, nothing is extrapolated.
    edge = [side / 16 + side / cells for side in (SIZE[1], SIZE[0])]
    inside = [
        (place > margin) & (place < side - margin)
        for place, margin, side in zip(true, edge, (SIZE[1], SIZE[0]), strict=True)
    ]
    both = inside[0] & inside[1]
    assert both.any()
    # Means over parts of cells are a little lopsided, by a part of a cell.
    assert (found - true).abs()[:, both].max() < 0.1 * SIZE[1] / 16


def test_beyond_the_canvas_its_border_goes_on():
    shared, own = frame_of("stretch"), frame_of("letterbox-center")
    found = resample(ramp(shared, (16, 16)), [shared], [own], (16, 16))[0, 1]
    assert torch.equal(found[0], found[1])  # padding above the image
    assert (found[0] >= 0).all()


def test_the_same_canvas_is_left_as_it_is():
    maps, frame = torch.rand(2, 3, 8, 8), frame_of("letterbox")
    assert resample(maps, [frame] * 2, [frame] * 2, (8, 8)) is maps


def test_images_of_a_batch_have_frames_of_their_own():
    other = plan_frame((60, 200), InputContract(policy="stretch", size=64))
    frames, own = [frame_of("stretch"), other], [frame_of("letterbox"), frame_of("letterbox")]
    maps = torch.rand(2, 3, 16, 16)
    both = resample(maps, frames, own, (9, 9))
    for i in range(2):
        alone = resample(maps[i : i + 1], [frames[i]], [own[i]], (9, 9))
        assert torch.allclose(both[i : i + 1], alone, atol=1e-6)


def test_a_mirrored_canvas_is_read_from_the_other_side():
    plain, mirrored = (plan_view(SIZE, View((10, 0, 100, 90), flip), 64) for flip in (False, True))
    maps = torch.rand(1, 2, 8, 8)
    found = resample(maps, [plain], [mirrored], (8, 8))
    assert torch.allclose(found, maps.flip(-1), atol=1e-6)


def test_larger_cells_take_the_mean_of_what_they_cover():
    frame = frame_of("stretch")
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2).float()[None, None]
    assert (resample(board, [frame], [frame], (4, 4)) - 0.5).abs().max() < 0.02
