"""The check of readouts: what decoders compute before they choose, for distillation."""

from __future__ import annotations

from typing import Any

import torch

from kivfm_core.objectives.losses import readout_distance
from kivfm_core.readout import Readout
from kivfm_core.teacher import Levels
from kivfm_core.testing.decoders import tasks_of
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject


def readouts(subject: Subject) -> None:
    """A decoder's readout is finite, one for each image, and passes gradients to the levels."""
    tasks_of(subject)
    parts = [part for part in subject.teacher.decoders.parts.values() if hasattr(part, "readout")]
    if not parts:
        raise NotChecked("no decoder has a readout", "see docs/reference/hooks.md, Decoders")
    found = [_agrees(part, subject.levels()) for part in parts]
    if not all(found):
        raise NotChecked("a decoder's readout is an empty list", "leave the method out")


def _agrees(part: Any, levels: Levels) -> bool:
    """Whether a decoder has a readout; raises a finding if that is wrong."""
    with torch.no_grad():
        wanted: list[Any] = part.readout(levels)
    if not wanted:
        return False
    for readout in wanted:
        if not isinstance(readout, Readout) or len(readout.values) != len(levels.frames):
            raise Finding(
                "a readout is not a list of kivfm_core.readout.Readout with values [B, ..., K]",
                "return what the decoder computes for every place, before it chooses",
            )
        if not readout.values.isfinite().all():
            raise Finding("a readout is not finite", "leave out what the decoder masks")
    own = {name: level.detach().clone().requires_grad_() for name, level in levels.items()}
    found = part.readout(own)
    if not readout_distance(found, wanted).isfinite().all():
        raise Finding(
            "the distance of a readout from itself is not finite",
            "give finite weights, in the shape of values without its last axis",
        )
    # Squared, since scores may sum to a constant over the classes, whose gradient is zero.
    values = torch.stack([one.values.square().sum() for one in found]).sum()
    if values.requires_grad:
        values.backward()
    if not any(level.grad is not None and level.grad.any() for level in own.values()):
        raise Finding(
            "no gradient reaches the levels through a readout",
            "compute its values with differentiable operations, outside torch.no_grad()",
        )
    return True
