"""A shared head without the joint fit, and the fit without a shared head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.method.joint_kinds_plan import AlonePlan, UnfittedPlan
from kivfm_core.aligners.aligner import Features
from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.latent import LatentAligner
from kivfm_core.aligners.shared_map import SharedFit, SharedMap


class _UnfittedMap(SharedMap):
    """Reads the shared head by a random matrix that is trained; only scale and mean are fitted."""

    def __init__(self, latent: int, shared: int) -> None:
        super().__init__(latent, shared, learned=True)
        nn.init.orthogonal_(self.out)

    @torch.no_grad()
    def fit(self, fitted: SharedFit) -> None:
        self.center.copy_(fitted.center)
        self.spread.copy_(fitted.spread / max(1 - fitted.share, 1e-8) ** 0.5)


class UnfittedAligner(JointAligner):
    """As `JointAligner`, without the fit."""

    def __init__(self, plan: UnfittedPlan) -> None:
        super().__init__(plan)
        self.shared_map = _UnfittedMap(plan.latent, plan.shared)


class AloneAligner(JointAligner):
    """As `LatentAligner`; a dense level's distance is measured in its shared and private parts."""

    def __init__(self, plan: AlonePlan) -> None:
        super().__init__(plan)
        self.shared = plan.shared

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The level's own head's coordinates, a dense one's apart."""
        return self._apart(LatentAligner.predict(self, features, grid))

    def to_latent(self, level: Tensor) -> Tensor:
        """The level's coordinates, a dense one's apart."""
        return self._apart(super().to_latent(level))

    def to_level(self, latent: Tensor) -> Tensor:
        """The level of such coordinates."""
        if latent.ndim == 4:
            latent = self.shared_map.join(latent[:, : self.shared], latent[:, self.shared :])
        return super().to_level(latent)

    def _apart(self, v: Tensor) -> Tensor:
        return torch.cat(self.shared_map.split(v), 1) if v.ndim == 4 else v
