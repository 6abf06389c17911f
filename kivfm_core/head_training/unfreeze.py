"""Trains a student's own weights together with a head, and holds its stand-ins in place.

No teacher is needed for that: each stand-in is to give what it gave before. So a frozen copy of
the student runs on the same canvases, and a penalty measures how far each stand-in has moved from
it (Learning without Forgetting, arXiv 1606.09282, with levels in the place of predictions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kivfm_core.composition.composition import Unfreeze
from kivfm_core.data.batches import Tick, batches
from kivfm_core.geometry import Frame
from kivfm_core.head_training.examples import Examples
from kivfm_core.head_training.train import Learner
from kivfm_core.heads.head import Head
from kivfm_core.objectives.losses import EPS
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.stand_in import StandIn
from kivfm_core.student.student import Features, Student
from kivfm_core.teacher import Levels

# The student's share of the head's learning rate: its weights have been trained before.
SHARE = 0.1

# How far each level of each stand-in is from what it was, by teacher and level.
Changes = dict[str, dict[str, float]]


class Unfrozen(Learner):
    """A head, and the part of its student that is trained with it.

    The student stays in evaluation mode: the statistics of its normalization layers stay as they
    are, and there is no dropout.

    Args:
        head: The head, the last of the student's teachers.
        examples: What it learns from.
        student: The student, where it computes.
        part: Which part of it is trained.
        keep: Weight of the penalty.
    """

    def __init__(
        self, head: Head, examples: Examples, student: Student, part: Unfreeze, keep: float
    ) -> None:
        super().__init__(head, examples)
        self.part = nn.ModuleList(_modules(student, part))
        self.keep = keep
        # Not submodules, since these are not trained: submodules would be saved, too.
        name = student.composition.teachers[-1].name
        self.now, self.before = StandIn(student, name), StandIn(_frozen_copy(student), name)
        # Learned axes define the coordinates, so they belong to the teacher and stay.
        named = self.part.named_parameters()
        self.weights = [weight for name, weight in named if not name.endswith(".axes")]
        for weight in self.weights:
            weight.requires_grad_(True)

    def groups(self) -> list[dict[str, Any]]:
        """The head's parameters, and the student's with a smaller learning rate."""
        return [*super().groups(), {"params": self.weights, "share": SHARE}]

    def train(self, mode: bool = True) -> Unfrozen:
        """Sets the head's mode; the student stays in evaluation mode."""
        super().train(mode)
        self.part.eval()
        return self

    def loss(self, step: int) -> Tensor:
        """The head's loss, and the penalty."""
        seen = self.examples.canvases(step)
        images, frames = seen.images.to(self.weights[0].device), seen.frames
        features = self.now.look(images, frames)
        levels = self.now.read(features, frames, frames[0].canvas)
        there = Levels({name: level.cpu() for name, level in levels.items()}, frames)
        loss = self.head.loss(there, seen.targets)
        if not self.keep:
            return loss
        return loss + self.keep * self._moved(features, images, frames).cpu()

    def _moved(self, features: Features, images: Tensor, frames: Sequence[Frame]) -> Tensor:
        """How far stand-ins moved: squared and relative, the mean over levels, then teachers."""
        with torch.no_grad():
            before = self.before.look(images, frames)
        moved = [
            torch.stack(
                [
                    (new - old).square().mean() / old.square().mean().clamp(min=EPS)
                    for _, new, old in self._pairs(spec, features, before, frames)
                ]
            ).mean()
            for spec in self.now.student.composition.distilled
        ]
        return torch.stack(moved).mean()

    def _pairs(
        self, spec: TeacherSpec, new: Features, old: Features, frames: Sequence[Frame]
    ) -> Iterator[tuple[str, Tensor, Tensor]]:
        """The coordinates of a teacher's levels, now and before, in which they were learned.

        Args:
            spec: The teacher's.
            new: The student's features.
            old: Those of its frozen copy, on the same canvases.
            frames: The canvases' frames.
        """
        scale = self.now.student.composition.scales.get(spec.name, 1.0)
        h, w = (max(1, round(side / scale)) for side in frames[0].canvas)
        for level in spec.levels:
            grid = level.grid((h, w)) if level.kind == "dense" else None
            with torch.no_grad():
                before = self.before.student.aligner(spec.name, level.name).predict(old, grid)
            now = self.now.student.aligner(spec.name, level.name).predict(new, grid)
            yield level.name, now, before

    def changes(self, paths: Sequence[Path], tick: Tick | None = None) -> Changes:
        """How far stand-ins, and heads that were there before, are from what they were.

        Args:
            paths: Files of images to look at.
            tick: Called with (images done, images in all).

        Returns:
            By teacher and level: the root mean square of the difference, divided by that of the
            level before, in the coordinates in which the level was learned. A head's levels are the
            features that it reads.
        """
        sums: dict[tuple[str, str], Tensor] = {}
        with torch.no_grad():
            for batch in batches(paths, self.now.spec.input, tick):
                images, frames = batch.images.to(self.weights[0].device), batch.frames
                new, old = self.now.look(images, frames), self.before.look(images, frames)
                for spec in self.now.student.composition.teachers[:-1]:
                    for name, now, before in self._pairs(spec, new, old, frames):
                        own = torch.stack([(now - before).square().sum(), before.square().sum()])
                        sums[spec.name, name] = own.double().cpu() + sums.get((spec.name, name), 0)
        changes: Changes = {}
        for (teacher, level), (moved, whole) in sums.items():
            changes.setdefault(teacher, {})[level] = float((moved / whole.clamp(min=EPS)).sqrt())
        return changes


def _modules(student: Student, part: Unfreeze) -> list[nn.Module]:
    """What is trained of a student."""
    adapters = [*([] if student.adapter is None else [student.adapter]), *student.extensions]
    return [student.trunk, *adapters, student.aligners] if part == "all" else adapters


def _frozen_copy(student: Student) -> Student:
    """The student as it is now, without decoders."""
    copy = Student(student.composition)
    copy.load_state_dict(student.state_dict())
    device = next(student.parameters()).device
    return copy.to(device).requires_grad_(False).eval()
