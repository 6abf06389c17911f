"""Fits the fixed part of the aligners from streaming sums, and the units of the decoder loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from kivfm_core.aligners.sums import Sums
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.decoder_loss import fit_units
from kivfm_core.student.student import Student

# The last batches are held, to measure the decoders' units on them once the aligners are fitted.
LAST = 4


def calibrate(
    student: Student, batches: Iterable[Targets], reduce: Callable[[Tensor], Tensor]
) -> dict[str, float]:
    """Fits every aligner of a student, and the units of its teachers' decoders.

    Args:
        student: Changed in place.
        batches: The teachers' levels, and the base's output, of some batches.
        reduce: Sums a tensor over all processes.

    Returns:
        For every aligner, the share of its level's standardized variance that the round trip
        through the shared latent keeps: a bound on what any student can retain.
    """
    learned = student.composition.learned
    plans = [plan for spec in learned for plan in student.composition.of(spec.name)]
    sums = {plan.key: Sums(plan.level.channels) for plan in plans}
    last: deque[Mapping[str, Mapping[str, Tensor]]] = deque(maxlen=LAST)
    for targets in batches:
        last.append(targets.teachers)
        for plan in plans:
            sums[plan.key].add(targets.level(plan))
    round_trips: dict[str, float] = {}
    for plan in plans:
        aligner = student.aligner(plan.teacher, plan.level.name)
        s = sums[plan.key]
        # Each process saw other images: sums over all of them make all processes fit alike.
        with torch.no_grad():
            count = int(reduce(torch.tensor(s.count)))
            aligner.fit(count, reduce(s.total), reduce(s.outer))
        round_trips[f"{plan.teacher}:{plan.level.name}"] = aligner.round_trip_share
    fit_units(student, last, reduce)
    return round_trips
