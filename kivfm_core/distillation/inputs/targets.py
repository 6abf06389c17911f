"""What a training step learns from: the outputs of the frozen networks for a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.layers.trunk_output import TrunkOutput


class Targets(NamedTuple):
    """The outputs of the frozen networks for a batch. A tuple, for `TrunkOutput`'s reason.

    Attributes:
        teachers: Levels `[B, C]` or `[B, C, h, w]` by teacher and level. A teacher whose levels are
            the trunk's own (the base, with identity aligners) is not among them.
        trunk: The output of the student's frozen trunk; None if the student has none.
        canvas: The student's canvases, where aligners are fitted to what it sees already.
    """

    teachers: Mapping[str, Mapping[str, Tensor]]
    trunk: TrunkOutput | None = None
    canvas: Tensor | None = None

    def rows(self, part: slice) -> Targets:
        """The outputs for a part of the batch."""
        teachers = {
            teacher: {name: level[part] for name, level in levels.items()}
            for teacher, levels in self.teachers.items()
        }
        return Targets(teachers, None if self.trunk is None else self.trunk.rows(part))

    def level(self, plan: AlignerPlan) -> Tensor:
        """The level that an aligner predicts; the base's own come with the trunk's output."""
        if plan.native:
            assert self.trunk is not None
            return self.trunk.level(plan.level.kind)
        return self.teachers[plan.teacher][plan.level.name]

    def named(self) -> dict[str, Tensor]:
        """All tensors by `TEACHER:LEVEL`; the trunk's by `trunk:NAME`."""
        tensors = {
            f"{teacher}:{name}": level
            for teacher, levels in self.teachers.items()
            for name, level in levels.items()
        }
        if self.trunk is not None:
            # A teacher may be called `trunk`, but no teacher's name contains an `@`.
            prefix = "trunk" if "trunk" not in self.teachers else "trunk@base"
            tensors |= {f"{prefix}:{name}": t for name, t in self.trunk.named().items()}
        return tensors
