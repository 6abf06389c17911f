"""The aligner of the base's own levels, without torch."""

from __future__ import annotations

from typing import ClassVar

from kivfm_core.aligners.plan import AlignerPlan


class IdentityPlan(AlignerPlan):
    """The level is the student's own x or V."""

    module: ClassVar[str] = "kivfm_core.aligners.identity:IdentityAligner"
    native: ClassVar[bool] = True

    kind: str = "identity"

    @property
    def parameters(self) -> int:
        """None that inference needs: its fitted scale is there for the loss."""
        return 0
