"""The default aligner's shapes and parameters, without torch."""

from __future__ import annotations

from typing import ClassVar

from kivfm_core.aligners.projector_plan import ProjectorPlan


class LatentPlan(ProjectorPlan):
    """A map into the shared latent on the teacher's side, a projector on the student's."""

    module: ClassVar[str] = "kivfm_core.aligners.latent:LatentAligner"

    kind: str = "latent"

    @property
    def parameters(self) -> int:
        """Everything that inference uses: the projector, and the map to the teacher's level."""
        # The teacher's side: axes, mean and standard deviation, and for some targets one number.
        unit = 1 if self.target in ("direction", "learned") else 0
        teacher = unit + self.latent * self.level.channels + 2 * self.level.channels
        return super().parameters + teacher
