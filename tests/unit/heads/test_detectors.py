"""FCOS and Mask R-CNN on a student's maps: what they give, and what they learn from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.tv_tensors import BoundingBoxes, Mask

from kivfm_core.geometry import Frame
from kivfm_core.heads.fcos import FcosHead
from kivfm_core.heads.head import Head, Target
from kivfm_core.heads.mask_rcnn import MaskRcnnHead
from kivfm_core.heads.table import ENCODER, HEADS, SPLIT
from kivfm_core.predictions import Detections, Instances
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_core.tasks.checks import check_objects
from kivfm_core.teacher import Levels

SIDE = 96
LEVELS = (
    Level(name="V", kind="dense", channels=6, stride=16),
    Level(name="P8", kind="dense", channels=4, stride=8),
)


def make(kind: str, classes: int = 3) -> Head:
    known = HEADS[kind]
    spec = TeacherSpec(
        name="head/mine",
        encoder=ENCODER,
        levels=LEVELS,
        input=InputContract(policy="letterbox", size=SIDE),
        tasks=(
            TaskSpec(
                task=known.task, levels=("V", "P8"), decoder=known.decoder,
                labels=tuple("abcdefgh"[:classes]),
            ),
        ),
        weights=Weights(source="run:head/mine", split=SPLIT),
        parameters=1,
    )  # fmt: skip
    torch.manual_seed(0)
    return resolve_reference(known.decoder)(spec)


def given(batch: int = 2) -> Levels:
    canvas = (SIDE, SIDE)
    maps = {one.name: torch.randn(batch, one.channels, *one.grid(canvas)) for one in LEVELS}
    frame = Frame(canvas, (0, 0, SIDE, SIDE), canvas, (0, 0), canvas)
    return Levels(maps, [frame] * batch)


def target(boxes: list[list[float]], labels: list[int]) -> Target:
    corners = torch.tensor(boxes).reshape(-1, 4)
    masks = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.int8)
    for mask, (x0, y0, x1, y1) in zip(masks, corners.int().tolist(), strict=True):
        mask[y0:y1, x0:x1] = 1
    return {
        "boxes": BoundingBoxes(corners, format="XYXY", canvas_size=(SIDE, SIDE)),
        "labels": torch.tensor(labels, dtype=torch.long),
        "masks": Mask(masks),
    }


BOTH = pytest.mark.parametrize("kind", ["fcos", "mask-rcnn"])
SOME = target([[10, 10, 50, 40], [60, 60, 90, 90]], [0, 2])
DOT, NOTHING = target([[8, 8, 9, 9]], [1]), target([], [])


@BOTH
@pytest.mark.parametrize(
    "targets",
    [(SOME, SOME), (SOME, NOTHING), (NOTHING, NOTHING), (DOT, DOT)],
    ids=["objects", "one without", "none", "dots"],
)
def test_the_loss_is_a_number_that_reaches_the_weights(kind: str, targets: tuple[Target, ...]):
    head = make(kind).train()
    loss = head.loss(given(), targets)
    loss.backward()
    grads = [p.grad for p in head.parameters() if p.grad is not None]
    assert float(loss.detach()) > 0 and all(bool(grad.isfinite().all()) for grad in grads)
    entries = [p for name, p in head.named_parameters() if "entries" in name]
    assert all(p.grad is not None for p in entries)


@BOTH
def test_a_head_learns_one_batch_by_heart(kind: str):
    head, levels = make(kind).train(), given()
    targets = [SOME, target([[20, 30, 70, 80]], [1])]
    optimizer = torch.optim.AdamW(head.parameters(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        head.loss(levels, targets).backward()
        optimizer.step()
    head.eval()
    with torch.no_grad():
        found = head(levels)
    assert isinstance(found, Instances if kind == "mask-rcnn" else Detections)
    assert check_objects(found, 3) == ""
    for place, wanted in enumerate(targets):
        for box, label in zip(wanted["boxes"], wanted["labels"], strict=True):
            assert best_overlap(found, place, box.as_subclass(Tensor), int(label)) > 0.5


def best_overlap(found: Detections, place: int, box: Tensor, label: int) -> float:
    """The best overlap of a box with those of its label that are found with some certainty."""
    from torchvision.ops import box_iou

    keep = (found.labels[place] == label) & (found.scores[place] > 0.3)
    boxes = found.boxes[place][keep]
    return float(box_iou(boxes, box[None]).max()) if len(boxes) else 0.0


@BOTH
def test_predictions_of_random_weights_have_the_form_of_the_task(kind: str):
    head = make(kind, classes=1).eval()
    with torch.no_grad():
        found = head(given(3))
    assert len(found.boxes) == 3 and check_objects(found, 1) == ""
    assert all(float(boxes.min()) >= 0 for boxes in found.boxes if len(boxes))
    if isinstance(found, Instances):
        assert all(
            m.shape == (len(b), 28, 28) for m, b in zip(found.masks, found.boxes, strict=True)
        )


def test_the_candidates_of_an_export_are_what_is_found_before_suppression():
    head = make("fcos").eval()
    assert isinstance(head, FcosHead)
    levels = given()
    with torch.no_grad():
        found, every = head(levels), head.candidates(levels)
    assert every.boxes.shape == (2, 16 * 16 + 8 * 8 + 4 * 4 + 2 * 2, 4)
    for place in range(2):
        assert found.scores[place][0] == pytest.approx(float(every.scores[place].max()))
    assert float(every.boxes.max()) <= SIDE


def test_masks_that_move_with_boxes_have_no_fixed_shapes():
    assert not hasattr(MaskRcnnHead, "masked_candidates")
