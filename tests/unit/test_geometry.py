"""Frames and views: every way there has a way back."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.data.canvas import make_canvases, normalize, render
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Click, Frame, MaskPrompt, View, by_form, plan_frame, plan_view
from kivfm_core.spec import InputContract

SIDE = st.integers(8, 70)
POLICIES = ("stretch", "letterbox", "letterbox-center", "short-side", "short-side-crop")


@st.composite
def contracts(draw: Any) -> InputContract:
    multiple = draw(st.sampled_from([1, 4]))
    size = draw(st.integers(2, 12)) * multiple
    policy = draw(st.sampled_from(POLICIES))
    more: dict[str, Any] = {}
    if policy == "short-side" and draw(st.booleans()):
        more["max_size"] = size * 2
    if policy == "short-side-crop" and draw(st.booleans()):
        more["resize"] = size + draw(st.integers(0, 9))
    return InputContract(policy=policy, size=size, multiple=multiple, **more)


@st.composite
def frames(draw: Any) -> Frame:
    """A frame as it comes in evaluation, or as a view that may reach beyond the picture."""
    h, w = size = draw(SIDE), draw(SIDE)
    if draw(st.booleans()):
        return plan_frame(size, draw(contracts()))
    side = draw(st.integers(4, 80))
    x, y = draw(st.integers(2 - side, w - 2)), draw(st.integers(2 - side, h - 2))
    view = View((x, y, x + side, y + side), draw(st.booleans()))
    return plan_view(size, view, draw(st.integers(8, 64)))


@given(frames(), st.floats(-9, 99), st.floats(-9, 99))
def test_points_come_back(frame: Frame, x: float, y: float) -> None:
    assert frame.to_original(*frame.to_canvas(x, y)) == pytest.approx((x, y), abs=1e-6)


@given(frames())
def test_the_source_lies_where_the_content_is(frame: Frame) -> None:
    x0, y0, x1, y1 = frame.source
    a, b = frame.to_canvas(x0, y0), frame.to_canvas(x1, y1)
    box = (min(a[0], b[0]), a[1], max(a[0], b[0]), b[1])
    (h, w), (left, top, right, bottom) = frame.canvas, frame.content
    clipped = (max(box[0], 0), max(box[1], 0), min(box[2], w), min(box[3], h))
    assert clipped == pytest.approx((left, top, right, bottom), abs=1e-6)


@given(SIDE, SIDE, contracts())
def test_canvases_have_the_size_that_the_contract_says(h: int, w: int, c: InputContract) -> None:
    frame = plan_frame((h, w), c)
    assert not any(side % c.multiple for side in frame.canvas)
    if c.policy != "short-side":
        assert frame.canvas == (c.size, c.size)
    elif c.max_size is None:
        assert min(frame.resized) == c.size
    else:
        assert max(frame.resized) <= c.max_size or min(frame.resized) == 1
    if c.policy == "short-side-crop":
        assert frame.content == (0, 0, c.size, c.size)


@given(SIDE, SIDE, contracts())
def test_aspect_is_kept_but_when_stretched(h: int, w: int, c: InputContract) -> None:
    frame = plan_frame((h, w), c)
    if c.policy != "stretch":
        scale = max(frame.resized) / max(h, w)
        assert abs(frame.resized[0] - h * scale) <= 1 and abs(frame.resized[1] - w * scale) <= 1


@settings(deadline=None)
@given(frames(), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
def test_what_is_rendered_lies_where_the_frame_says(frame: Frame, u: float, v: float) -> None:
    """A picture whose colors are its coordinates, looked up at a canvas pixel."""
    h, w = frame.original
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    picture = torch.stack([x, y, torch.full_like(x, 200)]).to(torch.uint8)
    contract = InputContract(policy="stretch", size=8, antialias=False)
    canvas = render(picture, frame, contract) * 255
    left, top, right, bottom = frame.content
    column, row = left + int(u * (right - left)), top + int(v * (bottom - top))
    if not (left <= column < right and top <= row < bottom):
        return
    true_x, true_y = frame.to_original(column + 0.5, row + 0.5)
    x0, y0, x1, y1 = frame.source
    found = canvas[:, row, column].tolist()
    assert found[2] == pytest.approx(200)
    # Bilinear sampling repeats the cut's edge for half a pixel.
    assert found[0] == pytest.approx(min(max(true_x - 0.5, x0), x1 - 1), abs=1e-3)
    assert found[1] == pytest.approx(min(max(true_y - 0.5, y0), y1 - 1), abs=1e-3)


@settings(deadline=None)
@given(frames())
def test_what_is_not_content_is_padding(frame: Frame) -> None:
    picture = torch.full((3, *frame.original), 255, dtype=torch.uint8)
    contract = InputContract(policy="stretch", size=8, pad_value=(0.0, 0.25, 0.5))
    canvas = render(picture, frame, contract)
    left, top, right, bottom = frame.content
    inside = torch.zeros(frame.canvas, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    assert (canvas[:, inside] > 1 - 1e-5).all()
    assert (canvas[:, ~inside] == torch.tensor([[0.0], [0.25], [0.5]])).all()


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(8, 30), st.integers(8, 40))
def test_a_flipped_view_is_the_mirror_image(x: int, y: int, side: int, canvas: int) -> None:
    picture = torch.randint(0, 255, (3, 30, 34), dtype=torch.uint8)
    contract = InputContract(policy="stretch", size=8)
    box = (x, y, x + side, y + side)
    plain, mirrored = (
        render(picture, plan_view((30, 34), View(box, flip), canvas), contract)
        for flip in (False, True)
    )
    assert torch.equal(plain.flip(-1), mirrored)


def test_a_view_beside_the_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not overlap"):
        plan_view((10, 10), View((20, 0, 30, 10)), 8)


def test_a_view_of_everything_is_a_stretched_square() -> None:
    view = plan_view((32, 32), View((0, 0, 32, 32)), 16)
    assert view == plan_frame((32, 32), InputContract(policy="stretch", size=16))


@pytest.mark.parametrize(
    ("policy", "size", "canvas", "resized", "origin"),
    [
        ("stretch", 20, (20, 20), (20, 20), (0, 0)),
        ("letterbox", 20, (20, 20), (10, 20), (0, 0)),
        ("letterbox-center", 20, (20, 20), (10, 20), (0, 5)),
        ("short-side", 20, (20, 40), (20, 40), (0, 0)),
        ("short-side-crop", 20, (20, 20), (20, 40), (-10, 0)),
    ],
)
def test_policies(policy: Any, size: int, canvas: Any, resized: Any, origin: Any) -> None:
    frame = plan_frame((40, 80), InputContract(policy=policy, size=size))
    assert (frame.canvas, frame.resized, frame.origin) == (canvas, resized, origin)


def test_normalization_is_in_the_networks_order_and_range() -> None:
    picture = torch.tensor([255, 0, 51], dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 4)
    contract = InputContract(
        policy="stretch", size=4, channel_order="BGR", scale=255.0, mean=(1, 2, 3), std=(2, 1, 1)
    )
    canvases, _ = make_canvases([picture], contract)
    assert normalize(canvases, contract)[0, :, 0, 0].tolist() == pytest.approx([25.0, -2.0, 252.0])


def test_a_prompt_reaches_the_canvas_mirrored_or_not() -> None:
    prompt = MaskPrompt((Click(10, 20), Click(30, 5, positive=False)), (10, 5, 30, 25))
    for flip, xs in ((False, (20, 60)), (True, (100, 60))):
        frame = Frame((40, 60), (0, 0, 60, 40), (80, 120), (0, 0), (80, 120), flip)
        there = prompt.to_canvas(frame)
        assert there.clicks == (Click(xs[0], 40), Click(xs[1], 10, positive=False))
        assert there.box == (min(xs), 10, max(xs), 50)


def test_a_prompt_of_nothing_or_of_what_is_not_meant_alone_is_refused() -> None:
    for clicks in ((), (Click(1, 1, positive=False),)):
        with pytest.raises(UsageError, match="neither a click on its object nor a box"):
            MaskPrompt(clicks)
    assert MaskPrompt((Click(1, 1, positive=False),), (0, 0, 2, 2)).single is None


def test_prompts_of_one_form_go_together() -> None:
    click = Click(1, 1)
    forms = [(1, 0), (2, 0), (1, 0), (0, 1), (1, 1), (2, 0)]
    prompts = [MaskPrompt((click,) * n, (0, 0, 2, 2) if box else None) for n, box in forms]
    assert by_form(prompts) == [[0, 2], [1, 5], [3], [4]]
    assert by_form([]) == []
