"""What holds learned maps to the shared space: its teachers can still be told from it."""

from __future__ import annotations

import torch
from torch import Tensor

from kivfm_core.aligners.shared_map import SharedMap
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.agreement import Agreement
from kivfm_core.objectives.vicreg import collapse
from kivfm_core.processes.launch import summed

EPS = 1e-8


def hold(agreement: Agreement, targets: Targets) -> Tensor:
    """How much of its teachers a learned space has lost, for a batch; a scalar.

    Three terms. What teachers agree on varies, one coordinate apart from the others, over all
    places of the batch (`collapse`). Levels can be told from it: the share of a level's variance
    that cannot counts. And what a global level says is the mean of its places'. Statistics are over
    the batches of all processes.
    """
    agreed = agreement.target(targets)
    lost = [
        _lost(agreement.aligner(plan).shared_map, v, agreed)
        for plan, v in zip(agreement.dense, agreement.coordinates(targets), strict=True)
    ]
    image, unit = agreed.mean((2, 3)), agreement.head.unit
    said: list[Tensor] = []
    for plan in agreement.whole:
        aligner = agreement.aligner(plan)
        v = aligner.to_latent(targets.level(plan).float())
        lost.append(_lost(aligner.shared_map, v, image))
        said.append(((aligner.shared_map.shared(v) - image) / unit).square().mean())
    left, whole = summed(torch.stack(lost)).unbind(1)
    total = collapse(agreed.movedim(1, -1).flatten(0, -2), summed)
    total = total + (left / whole.clamp(min=EPS)).mean()
    return total + torch.stack(said).mean() if said else total


def _lost(shared_map: SharedMap, v: Tensor, z: Tensor) -> Tensor:
    """The variance that shared coordinates leave of a level, and all that it has: `[2]`."""
    parts = (shared_map.rest(v, z), shared_map.rest(v, torch.zeros_like(z)))
    return torch.stack([part.square().mean() for part in parts])
