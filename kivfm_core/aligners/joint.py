"""Aligners of a student whose heads meet: one head says what all teachers share.

As the latent aligner, and beside it a map of the level's coordinates to those that all teachers
share and to the rest (`shared_map`), fitted together with all other levels' (`joint_fit`). The
student's shared head (`shared_head`) gives the shared coordinates once, and the aligner's own
projector, a small one, the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kivfm_core.aligners.aligner import Features
from kivfm_core.aligners.identity import IdentityAligner
from kivfm_core.aligners.joint_fit import Affine
from kivfm_core.aligners.joint_plan import IMAGE, PLACES, JointIdentityPlan, JointPlan
from kivfm_core.aligners.latent import LatentAligner
from kivfm_core.aligners.shared_map import SharedMap
from kivfm_core.layers.resize import resize


class JointAligner(LatentAligner):
    """A level's coordinates, put together from shared and private ones."""

    def __init__(self, plan: JointPlan) -> None:
        super().__init__(plan)
        self.shared_map = SharedMap(plan.latent, plan.shared, plan.learned)

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's latent coordinates, `[B, L]` or `[B, L, h, w]`."""
        z = features[IMAGE] if grid is None else resize(features[PLACES], grid)
        return self.shared_map.join(z, super().predict(features, grid))

    def affine(self) -> Affine:
        """The fitted map from the level to its coordinates, on the CPU."""
        axes = self.axes.detach() / self.std[:, None]
        return Affine(self.mean.double().cpu(), axes.double().cpu())

    def forget(self) -> None:
        """Predicts the mean of the level, whatever the shared head gives."""
        super().forget()
        nn.init.zeros_(self.shared_map.out)


class JointIdentityAligner(IdentityAligner):
    """The base's own level, with its part in what the teachers agree on."""

    def __init__(self, plan: JointIdentityPlan) -> None:
        super().__init__(plan)
        self.shared_map = SharedMap(plan.level.channels, plan.shared, plan.learned)

    def affine(self) -> Affine:
        """The fitted map from the level to its coordinates, on the CPU."""
        axes = torch.eye(len(self.mean)) / self.scale.cpu()
        return Affine(self.mean.double().cpu(), axes.double())
