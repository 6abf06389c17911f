"""The student's one head for what all teachers share: of every place, and of the image."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from kivfm_core.aligners.aligner import Features
from kivfm_core.aligners.joint_plan import IMAGE, PLACES
from kivfm_core.aligners.projector import Projector
from kivfm_core.aligners.shared_head_plan import SharedHeadPlan


class SharedHead(nn.Module):
    """Predicts where the teachers agree.

    Attributes:
        sums: The eigenvalue of each shared coordinate, `[K]`: the shares of its variance that the
            levels explain, added up. One level's worth at least, all levels' at most.
        unit: Deviation of an image's shared coordinates, the mean over them.
    """

    sums: Tensor
    unit: Tensor

    def __init__(self, plan: SharedHeadPlan) -> None:
        super().__init__()
        self.places, self.image = Projector(plan.places), Projector(plan.image)
        self.register_buffer("sums", torch.ones(plan.shared))
        self.register_buffer("unit", torch.ones(()))

    def forward(self, features: Features) -> dict[str, Tensor]:
        """The shared coordinates `Z [B, K, h, w]`, on V's grid, and `z [B, K]`."""
        h, w = features["V"].shape[-2:]
        z = self.image.predict(features, None) * self.unit
        return {PLACES: self.places.predict(features, (h, w)), IMAGE: z}

    def agreed(self, said: Iterable[Tensor]) -> Tensor:
        """The coordinates `[B, K, h, w]` that the levels agree on, of unit variance each.

        Args:
            said: What each dense level says of them, on one grid. These are regressions, so what
                is said shrinks with what a level does not know; their sum has the variance of
                `sums` squared.
        """
        total = torch.stack([*said]).sum(0)
        return total / self.sums.view(1, -1, 1, 1)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes hidden layers again for the gradient; timm's name."""
        self.places.set_grad_checkpointing(enable)
        self.image.set_grad_checkpointing(enable)
