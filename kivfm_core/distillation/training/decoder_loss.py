"""How the teachers' decoders judge levels that are not their teacher's, and in which unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from kivfm_core.objectives.losses import readout_distance
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders


def decoders_distance(
    decoders: Decoders, levels: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> Tensor:
    """How differently a teacher's decoders decide on other levels than its own.

    Args:
        decoders: The teacher's.
        levels: The student's; gradients reach them.
        targets: The teacher's. A base, whose levels are the student's own, has none.

    Returns:
        `[B]`; zero, a scalar, if none of them can tell.
    """
    with torch.no_grad():
        meant = decoders.readout(targets) if targets else []
    if not meant:
        return torch.zeros(())
    return readout_distance(decoders.readout(levels), meant)


@torch.no_grad()
def fit_units(
    student: Student,
    batches: Sequence[Mapping[str, Mapping[str, Tensor]]],
    reduce: Callable[[Tensor], Tensor],
) -> None:
    """Measures what each teacher's decoders get wrong of what an untrained student says.

    In this unit every teacher's decoders start at one, so none dominates.

    Args:
        student: With fitted aligners; its `readout_units` are set.
        batches: The teachers' levels of some batches.
        reduce: Sums a tensor over all processes.
    """
    for i, spec in enumerate(student.composition.teachers):
        if spec.name in student.composition.frozen_teachers:
            continue
        wrong = torch.zeros(2)
        for targets in batches:
            own = targets.get(spec.name, {})
            untrained: dict[str, Tensor] = {}
            for name, level in own.items():
                aligner = student.aligner(spec.name, name)
                untrained[name] = aligner.to_level(torch.zeros_like(aligner.to_latent(level)))
            distance = decoders_distance(student.decoders[spec.name], untrained, own)
            wrong += torch.stack([distance.mean().cpu(), torch.ones(())])
        total, count = reduce(wrong)
        # Decoders without a readout, or whom nothing irritates, are not blown up.
        student.readout_units[i] = total / count if total > 0 else 1.0
