"""How far a student is from what its teachers agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.joint_plan import IMAGE, PLACES
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.aligners.shared_head import SharedHead
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.layers.resize import resize
from kivfm_core.objectives.losses import mse_cosine
from kivfm_core.student.student import Student


class Agreement:
    """The shared coordinates that teachers agree on, for a batch.

    Dense levels meet on V's grid. A view shows every teacher the same square, whatever the size of
    its canvas: their grids differ by a scale, and resizing leads from one to another.

    Args:
        student: With a shared head, and aligners that know of it.
    """

    def __init__(self, student: Student) -> None:
        plans = student.composition.aligners
        self.student, self.head = student, cast(SharedHead, student.shared_head)
        self.dense = [plan for plan in plans if plan.level.kind == "dense"]
        self.whole = [plan for plan in plans if plan.level.kind == "global"]

    def aligner(self, plan: AlignerPlan) -> JointAligner:
        """The aligner of a plan; those of the base's own levels have the same parts here."""
        return cast(JointAligner, self.student.aligner(plan.teacher, plan.level.name))

    def levels(self, targets: Targets) -> list[Tensor]:
        """The dense levels `[B, C, h, w]` on one grid, in the order of `dense`.

        It is V's; or the finest level's if the trunk is trained too, and so no target.
        """
        levels = [targets.level(plan).float() for plan in self.dense]
        maps = [targets.trunk.v] if targets.trunk else levels
        grid = max(tuple(x.shape[-2:]) for x in maps)
        return [resize(level, grid) for level in levels]

    @torch.no_grad()
    def coordinates(self, targets: Targets) -> list[Tensor]:
        """The dense levels' coordinates `[B, L, h, w]`, as `levels`."""
        pairs = zip(map(self.aligner, self.dense), self.levels(targets), strict=True)
        return [one.to_latent(level) for one, level in pairs]

    def target(self, targets: Targets) -> Tensor:
        """The shared coordinates `[B, K, h, w]` that the teachers agree on.

        Gradients pass to maps that are learned.
        """
        pairs = zip(map(self.aligner, self.dense), self.coordinates(targets), strict=True)
        return self.head.agreed(one.shared_map.shared(v) for one, v in pairs)

    def distance(self, features: Mapping[str, Tensor], targets: Targets) -> Tensor:
        """How far the student's shared coordinates are from those, `[B]`.

        The mean of the distance at places and of that of the image, whose coordinates are the mean
        of its places'. Each is 1.5 for a student that knows only the mean.
        """
        agreed, unit = self.target(targets), self.head.unit
        agreed = resize(agreed, features[PLACES].shape[-2:])
        places = mse_cosine(features[PLACES], agreed)
        image = mse_cosine(features[IMAGE] / unit, agreed.mean((2, 3)) / unit)
        return (places + image) / 2
