"""Fits what a student's teachers share, on the views on which its aligners are fitted alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from kivfm_core.aligners.joint_fit import JointFit, fit_joint
from kivfm_core.aligners.sums import Sums
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.agreement import Agreement
from kivfm_core.distillation.training.calibrate import calibrate
from kivfm_core.distillation.training.fit_added import AddedCalibration, reduced
from kivfm_core.student.student import Student


def fit_aligners(
    student: Student, batches: Iterable[Targets], reduce: Callable[[Tensor], Tensor]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Fits every aligner that a student learns, and what its teachers share if it has a place.

    Args:
        student: Changed in place.
        batches: The teachers' levels, and the base's output, of some batches.
        reduce: Sums a tensor over all processes.

    Returns:
        The round trips, as `calibrate` gives them; and what teachers share, as `SharedCalibration`
        or, of teachers that are added, `AddedCalibration` does.
    """
    if student.shared_head is None:
        return calibrate(student, batches, reduce), {}
    # The shared head of an earlier run's student stays as it is.
    kind = AddedCalibration if student.composition.frozen_teachers else SharedCalibration
    together = kind(student)
    trips = calibrate(student, together.watch(batches), reduce)
    return trips, together.fit(reduce)


class SharedCalibration:
    """Streaming sums of all levels together, and the fit to them.

    Args:
        student: With a shared head; changed in place by `fit`.
    """

    def __init__(self, student: Student) -> None:
        self.agreement = Agreement(student)
        dense, whole = (
            sum(plan.level.channels for plan in plans)
            for plans in (self.agreement.dense, self.agreement.whole)
        )
        self.places, self.images = Sums(dense), Sums(dense + whole)

    def watch(self, batches: Iterable[Targets]) -> Iterator[Targets]:
        """The same batches; what passes by is added to the sums."""
        for targets in batches:
            dense = torch.cat(self.agreement.levels(targets), 1)
            whole = [targets.level(plan) for plan in self.agreement.whole]
            self.places.add(dense)
            self.images.add(torch.cat([dense.mean((2, 3)), *whole], 1))
            yield targets

    @torch.no_grad()
    def fit(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """Fits what is shared to all that passed by, once every aligner is fitted alone.

        Args:
            reduce: Sums a tensor over all processes.

        Returns:
            What teachers share, as a run records it.
        """
        both, head = self.agreement, self.agreement.head
        dense, whole = ([both.aligner(p) for p in plans] for plans in (both.dense, both.whole))
        maps, more = ([one.affine() for one in some] for some in (dense, whole))
        teachers = [plan.teacher for plan in both.dense]
        groups = {name: [i for i, t in enumerate(teachers) if t == name] for name in teachers}
        found = fit_joint(
            reduced(self.places, reduce).mapped(maps),
            reduced(self.images, reduce).mapped([*maps, *more]),
            ([m.axes.shape[1] for m in maps], [m.axes.shape[1] for m in more]),
            [*groups.values()],
            len(head.sums),
        )
        head.sums.copy_(found.sums)
        head.unit.copy_(found.unit)
        for aligner, fit in zip([*dense, *whole], [*found.dense, *found.whole], strict=True):
            aligner.shared_map.fit(fit)
        names = [f"{plan.teacher}:{plan.level.name}" for plan in (*both.dense, *both.whole)]
        return _record(names, [*groups], found)


def _record(levels: list[str], teachers: list[str], found: JointFit) -> dict[str, Any]:
    fits = [*found.dense, *found.whole]
    return {
        "eigenvalues": _rounded(found.sums),
        "levels": dict(zip(levels, (round(fit.share, 4) for fit in fits), strict=True)),
        "teachers": {
            name: dict(zip(teachers, _rounded(row), strict=True))
            for name, row in zip(teachers, found.among, strict=True)
        },
        "others": dict(zip(teachers, _rounded(found.others), strict=True)),
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(float(value), 4) for value in values]
