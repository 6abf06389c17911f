"""Heads for semantic segmentation, on maps whose content is known."""

from __future__ import annotations

import pytest
import torch
from torchvision.tv_tensors import Mask

from kivfm_core.geometry import Frame
from kivfm_core.heads.head import Head
from kivfm_core.heads.table import ENCODER, HEADS, SPLIT
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_core.teacher import Levels

KINDS = [kind.name for kind in HEADS.values() if kind.task == "semantic-segmentation"]
SIDE = 64


def make_head(kind: str, strides: list[int]) -> tuple[Head, list[Level]]:
    levels = [Level(name=f"P{s}", kind="dense", channels=6, stride=s) for s in strides]
    task = TaskSpec(
        task="semantic-segmentation",
        levels=tuple(level.name for level in levels),
        decoder=HEADS[kind].decoder,
        labels=("left", "right"),
    )
    spec = TeacherSpec(
        name="head/x", encoder=ENCODER, levels=tuple(levels), tasks=(task,), parameters=1,
        input=InputContract(policy="letterbox", size=SIDE),
        weights=Weights(source="run:head/x", split=SPLIT),
    )  # fmt: skip
    torch.manual_seed(0)
    return resolve_reference(task.decoder)(spec), levels


def make_batch(levels: list[Level]) -> tuple[Levels, list[dict[str, Mask]]]:
    """Two images; in one the second class is on the right, in the other on the left."""
    frame = Frame((SIDE, SIDE), (0, 0, SIDE, SIDE), (SIDE, SIDE), (0, 0), (SIDE, SIDE))
    maps = torch.zeros(2, SIDE, SIDE)
    maps[0, :, SIDE // 2 :], maps[1, :, : SIDE // 2] = 1, 1
    given = {}
    for level in levels:
        seen = torch.nn.functional.interpolate(maps[:, None], level.grid((SIDE, SIDE)))
        given[level.name] = seen * torch.randn(1, level.channels, 1, 1) + 0.1
    return Levels(given, [frame, frame]), [{"map": Mask(one.long())} for one in maps]


@pytest.mark.parametrize("strides", [[4, 8, 16], [16], [8, 14, 64]])
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_where_a_class_is_from_maps_of_any_stride(kind: str, strides: list[int]):
    head, levels = make_head(kind, strides)
    given, targets = make_batch(levels)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.03)
    for _ in range(30):
        optimizer.zero_grad()
        head.loss(given, targets).backward()
        optimizer.step()
    head.eval()
    found = head(given).to_original(given.frames)
    right = [one.argmax(0) == target["map"] for one, target in zip(found, targets, strict=True)]
    assert torch.stack(right).float().mean() > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_count_teaches_nothing(kind: str):
    head, levels = make_head(kind, [8])
    given, targets = make_batch(levels)
    nothing = [{"map": Mask(torch.full_like(one["map"], -1))} for one in targets]
    assert head.loss(given, nothing) == 0
