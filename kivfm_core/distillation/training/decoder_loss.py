"""How differently a teacher's decoders decide on the student's levels, and in which unit."""

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
        `[B]`; a scalar zero if no decoder has a readout.
    """
    with torch.no_grad():
        wanted = decoders.readout(targets) if targets else []
    if not wanted:
        return torch.zeros(())
    return readout_distance(decoders.readout(levels), wanted)


@torch.no_grad()
def fit_units(
    student: Student,
    batches: Sequence[Mapping[str, Mapping[str, Tensor]]],
    reduce: Callable[[Tensor], Tensor],
) -> None:
    """Measures the mean decoder distance of an untrained student: the unit of the decoder loss.

    In this unit every teacher's decoder loss starts at one, so that no teacher dominates.

    Args:
        student: With fitted aligners; its `readout_units` are set.
        batches: The teachers' levels of some batches.
        reduce: Sums a tensor over all processes.
    """
    for i, spec in enumerate(student.composition.teachers):
        if spec.name in student.composition.kept:
            continue
        wrong = torch.zeros(2)
        for targets in batches:
            own = targets.get(spec.name, {})
            untrained: dict[str, Tensor] = {}
            # An untrained head predicts zero in the latent, the mean of the teacher's levels.
            for name, level in own.items():
                aligner = student.aligner(spec.name, name)
                untrained[name] = aligner.to_level(torch.zeros_like(aligner.to_latent(level)))
            distance = decoders_distance(student.decoders[spec.name], untrained, own)
            wrong += torch.stack([distance.mean().cpu(), torch.ones(())])
        total, count = reduce(wrong)
        # Where the distance is zero, as without a readout, nothing is to be scaled up.
        student.readout_units[i] = total / count if total > 0 else 1.0
