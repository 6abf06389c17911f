"""The aligner of a head's levels, without torch."""

from __future__ import annotations

from typing import ClassVar

from kivfm_core.aligners.plan import AlignerPlan


class OwnPlan(AlignerPlan):
    """The level is the student's own feature of the level's name, adapters' maps included."""

    module: ClassVar[str] = "kivfm_core.aligners.own:OwnAligner"
    native: ClassVar[bool] = True

    kind: str = "own"

    @property
    def feature(self) -> str:
        """The level's name."""
        return self.level.name

    @property
    def parameters(self) -> int:
        """None."""
        return 0
