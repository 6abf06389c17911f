"""Fits teachers that are added to what an earlier student's teachers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor

from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.joint_fit import Affine, Moments, fit_added
from kivfm_core.aligners.joint_plan import IMAGE, PLACES, JointPlan
from kivfm_core.aligners.sums import Sums, moments
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.layers.resize import resize
from kivfm_core.student.student import Student


class AddedCalibration:
    """Streaming sums of each added level beside the student's shared coordinates, and the fit.

    The earlier teachers do not run again, so the student itself says what they share. Each level
    meets that on its own grid, where its stand-in reads it.

    Args:
        student: With a shared head that stays as it is; its new aligners are changed by `fit`.
    """

    def __init__(self, student: Student) -> None:
        plan, head = student.composition, student.composition.shared_head
        assert head is not None
        new = (aligner for spec in plan.learned for aligner in plan.of(spec.name))
        self.student, self.shared = student, head.shared
        self.plans = [aligner for aligner in new if isinstance(aligner, JointPlan)]
        self.sums = {p.key: Sums(p.level.channels + self.shared) for p in self.plans}

    def watch(self, batches: Iterable[Targets]) -> Iterator[Targets]:
        """The same batches; what passes by is added to the sums."""
        for targets in batches:
            if self.plans:
                self._add(targets)
            yield targets

    @torch.no_grad()
    def _add(self, targets: Targets) -> None:
        assert targets.canvas is not None and targets.trunk is not None
        seen = self.student.adapt(targets.canvas, targets.trunk)
        for plan in self.plans:
            level = targets.level(plan).float()
            dense = plan.level.kind == "dense"
            z = resize(seen[PLACES], level.shape[-2:]) if dense else seen[IMAGE]
            self.sums[plan.key].add(torch.cat([level, z.to(level)], 1))

    @torch.no_grad()
    def fit(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """Fits the levels to all that passed by, once every aligner is fitted alone.

        Args:
            reduce: Sums a tensor over all processes.

        Returns:
            What a run records of the levels: how much of each the shared coordinates explain, and
            of each teacher's dense levels together.
        """
        same = Affine(torch.zeros(self.shared).double(), torch.eye(self.shared).double())
        levels, sizes = dict[str, float](), dict[str, list[tuple[float, int]]]()
        for plan in self.plans:
            aligner = cast(JointAligner, self.student.aligner(plan.teacher, plan.level.name))
            both = reduced(self.sums[plan.key], reduce).mapped([aligner.affine(), same])
            found = fit_added(both, self.shared)
            aligner.shared_map.fit(found)
            levels[f"{plan.teacher}:{plan.level.name}"] = round(found.share, 4)
            if plan.level.kind == "dense":  # whose coordinates have unit variance on average
                sizes.setdefault(plan.teacher, []).append((found.share, plan.latent))
        others = {
            teacher: round(sum(s * n for s, n in parts) / sum(n for _, n in parts), 4)
            for teacher, parts in sizes.items()
        }
        return {"levels": levels, "others": others} if levels else {}


def reduced(sums: Sums, reduce: Callable[[Tensor], Tensor]) -> Moments:
    """Moments from the sums of all processes.

    Each process saw other images: sums over all of them make all processes fit alike.
    """
    count = int(reduce(torch.tensor(sums.count)))
    return Moments(*moments(count, reduce(sums.total), reduce(sums.outer)))
