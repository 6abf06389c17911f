"""What holds learned maps to the shared space: its teachers can still be told from it."""

from __future__ import annotations

import torch
from torch import Tensor

from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.training.agreement import Agreement
from kivfm_core.objectives.vicreg import collapse
from kivfm_core.processes.launch import summed


def hold(agreement: Agreement, targets: Targets) -> Tensor:
    """How much of its teachers a learned space has lost, for a batch; a scalar.

    Three terms: that what teachers agree on varies, one coordinate apart from the others, over
    the places of the whole batch, all processes' together (`collapse`); that each level can be told
    from it, in units of what it leaves of the level as fitted; and that what a global level says is
    the mean of its places'.
    """
    v, agreed = agreement.coordinates(targets), agreement.target(targets)
    lost = [
        agreement.aligner(plan).shared_map.rest(own, agreed).square().mean()
        for plan, own in zip(agreement.dense, v, strict=True)
    ]
    image, unit = agreed.mean((2, 3)), agreement.head.unit
    said: list[Tensor] = []
    for plan in agreement.whole:
        aligner = agreement.aligner(plan)
        own = aligner.to_latent(targets.level(plan).float())
        lost.append(aligner.shared_map.rest(own, image).square().mean())
        said.append(((aligner.shared_map.shared(own) - image) / unit).square().mean())
    total = collapse(agreed.movedim(1, -1).flatten(0, -2), summed) + torch.stack(lost).mean()
    return total + torch.stack(said).mean() if said else total
