"""Predictions go back to the original's pixels, whatever the canvas."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.geometry import Frame, View, plan_frame, plan_view
from kivfm_core.predictions import (
    Candidates,
    Detections,
    Instances,
    Masks,
    SemanticLogits,
    boxes_to_original,
    clip_boxes,
    maps_to_original,
    paste_masks,
)
from kivfm_core.spec import InputContract

POLICIES = ("stretch", "letterbox", "letterbox-center", "short-side", "short-side-crop")
SIDE = st.integers(16, 60)
IDENTITY = Frame((40, 60), (0, 0, 60, 40), (40, 60), (0, 0), (40, 60))


def canvas_box(frame: Frame, box: list[float]) -> list[float]:
    (ax, ay), (bx, by) = frame.to_canvas(*box[:2]), frame.to_canvas(*box[2:])
    return [min(ax, bx), ay, max(ax, bx), by]


@given(SIDE, SIDE, st.sampled_from(POLICIES), st.integers(16, 64))
def test_boxes_come_back(h: int, w: int, policy: Any, size: int) -> None:
    frame = plan_frame((h, w), InputContract(policy=policy, size=size))
    box = [1.0, 2.0, w - 3.0, h - 4.0]
    there = torch.tensor([canvas_box(frame, box)])
    found = Detections([there], [torch.ones(1)], [torch.zeros(1)]).to_original([frame])
    assert found[0]["boxes"][0].tolist() == pytest.approx(box, abs=1e-3)


def test_boxes_of_a_flipped_canvas_keep_their_order() -> None:
    frame = plan_view((40, 60), View((10, 0, 50, 40), flip=True), 80)
    box = [15.0, 5.0, 25.0, 30.0]
    there = canvas_box(frame, box)
    assert there == [50.0, 10.0, 70.0, 60.0]
    back = boxes_to_original(torch.tensor([there]), frame)
    assert back[0].tolist() == pytest.approx(box)


def test_boxes_are_clipped_to_the_picture() -> None:
    back = clip_boxes(torch.tensor([[-5.0, -5, 99, 99]]), IDENTITY.original)
    assert back.tolist() == [[0, 0, 60, 40]]


def test_no_boxes() -> None:
    assert boxes_to_original(torch.zeros(0, 4), IDENTITY).shape == (0, 4)
    assert paste_masks(torch.zeros(0, 14, 14), torch.zeros(0, 4), (40, 60)).shape == (0, 40, 60)
    assert maps_to_original(torch.zeros(0, 5, 5), IDENTITY).shape == (0, 40, 60)


@settings(deadline=None)
@given(SIDE, SIDE, st.sampled_from(POLICIES), st.integers(16, 64), st.booleans())
def test_a_map_of_coordinates_comes_back_as_coordinates(
    h: int, w: int, policy: Any, size: int, flip: bool
) -> None:
    """A map whose values are the original's coordinates shows each at its own place."""
    frame = plan_frame((h, w), InputContract(policy=policy, size=size))
    if flip:
        frame = Frame(
            frame.original, frame.source, frame.resized, frame.origin, frame.canvas, flip=True
        )
    ch, cw = frame.canvas
    x = torch.tensor([frame.to_original(i + 0.5, 0)[0] for i in range(cw)])
    y = torch.tensor([frame.to_original(0, i + 0.5)[1] for i in range(ch)])
    maps = torch.stack([x.expand(ch, cw), y[:, None].expand(ch, cw)])
    back = maps_to_original(maps, frame, outside=torch.nan)
    assert back.shape == (2, h, w)
    shown = ~back[0].isnan()
    # The canvas's own edge is repeated for half of its pixels.
    half = [0.5 / abs(s) + 1e-3 for s in frame.scale]
    assert ((back[0] - (torch.arange(w) + 0.5)).abs()[shown] <= half[0]).all()
    assert ((back[1] - (torch.arange(h) + 0.5)[:, None]).abs()[shown] <= half[1]).all()
    assert policy == "short-side-crop" or shown.all()


def test_a_crop_hides_what_it_does_not_show() -> None:
    frame = plan_frame((20, 40), InputContract(policy="short-side-crop", size=20))
    back = maps_to_original(torch.ones(1, 5, 5), frame, outside=-7.0)[0]
    assert (back[:, 10:30] == 1).all()
    assert (back[:, :10] == -7).all() and (back[:, 30:] == -7).all()
    assert not Masks([torch.ones(1, 20, 20)]).to_original([frame])[0][0, :, :10].any()


def test_padding_does_not_leak_into_the_picture() -> None:
    frame = plan_frame((20, 40), InputContract(policy="letterbox", size=40))
    logits = torch.zeros(1, 1, 40, 40)
    logits[:, :, :20] = 1  # the content is the upper half
    (back,) = SemanticLogits(logits).to_original([frame])
    assert back.shape == (1, 20, 40) and (back == 1).all()


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(8, 20), st.integers(8, 20))
def test_pasted_masks_fill_their_boxes(x: int, y: int, w: int, h: int) -> None:
    boxes = torch.tensor([[x, y, x + w, y + h]], dtype=torch.float32)
    found = Instances([boxes], [torch.ones(1)], [torch.zeros(1)], [torch.ones(1, 28, 28)])
    (mask,) = found.to_original([IDENTITY])[0]["masks"]
    assert mask.shape == (40, 60) and mask.dtype == torch.bool
    inside = torch.zeros(40, 60, dtype=torch.bool)
    inside[y : y + h, x : x + w] = True
    assert mask[y + 1 : y + h - 1, x + 1 : x + w - 1].all()
    grown = torch.zeros(40, 60, dtype=torch.bool)
    grown[max(y - 1, 0) : y + h + 1, max(x - 1, 0) : x + w + 1] = True
    assert not mask[~grown].any()


def test_pasting_is_torchvisions_own() -> None:
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    torch.manual_seed(0)
    masks = torch.rand(3, 28, 28)
    boxes = torch.tensor([[1.0, 2, 30, 20], [9, 9, 55, 39], [0, 0, 5, 5]])
    theirs = paste_masks_in_image(masks[:, None], boxes, (40, 60))[:, 0]
    assert torch.equal(paste_masks(masks, boxes, (40, 60)), theirs)


@pytest.mark.parametrize("flip", [False, True])
def test_box_and_canvas_masks_agree(flip: bool) -> None:
    frame = plan_view((40, 60), View((0, 0, 60, 60), flip), 120)
    box = torch.tensor([[20.0, 20, 60, 60]])
    whole = torch.zeros(1, 120, 120)
    whole[:, 20:60, 20:40] = 1  # the left half of the box
    half = torch.zeros(1, 28, 28)
    half[:, :, :14] = 1
    one, label = torch.ones(1), torch.zeros(1)
    (a,) = Instances([box], [one], [label], [whole], "canvas").to_original([frame])
    (b,) = Instances([box], [one], [label], [half]).to_original([frame])
    assert a["masks"].sum() == 20 * 10
    assert (a["masks"] ^ b["masks"]).sum() <= 2 * 22 + 2 * 12  # the rim


@pytest.mark.parametrize("corner", [-30.0, 61.0])
def test_a_box_beside_the_picture_has_an_empty_mask(corner: float) -> None:
    boxes = torch.tensor([[corner, corner, corner + 10, corner + 10], [5.0, 5, 20, 20]])
    pasted = paste_masks(torch.ones(2, 14, 14), boxes, (40, 60))
    assert not pasted[0].any() and pasted[1].any()


def test_of_overlapping_candidates_the_better_of_a_class_is_chosen() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    scores = torch.tensor([[0.5, 0.0], [0.6, 0.7], [0.2, 0.05]])
    found, (places,) = Candidates(boxes[None], scores[None], threshold=0.1, iou=0.5).chosen()
    assert places.tolist() == [1, 1, 2]
    assert found.labels[0].tolist() == [1, 0, 0]
    assert found.scores[0].tolist() == pytest.approx([0.7, 0.6, 0.2])
    assert torch.equal(found.boxes[0], boxes[places])
    few = Candidates(boxes[None], scores[None], threshold=0.1, iou=0.5, most=2).chosen()[0]
    assert few.labels[0].tolist() == [1, 0]


def test_candidates_that_are_all_sure_are_still_chosen_from() -> None:
    """As an untrained student finds them: the best of them compete."""
    boxes = torch.rand(1, 1000, 4).cumsum(2)
    scores = 0.5 + torch.rand(1, 1000, 80) / 2
    scores[0, 7, 3] = 2.0
    found, (places,) = Candidates(boxes, scores, threshold=0.001, iou=1.0).chosen()
    assert len(places) == 30_000 and found.labels[0][0] == 3 and places[0] == 7
