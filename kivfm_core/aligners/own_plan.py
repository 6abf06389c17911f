"""The aligner of a head's levels, without torch."""

from __future__ import annotations

from typing import ClassVar, Self

from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.spec import Level


class OwnPlan(AlignerPlan):
    """The level is the student's own feature of the level's name, adapters' maps included."""

    module: ClassVar[str] = "kivfm_core.aligners.own:OwnAligner"
    native: ClassVar[bool] = True

    kind: str = "own"

    @classmethod
    def of(cls, teacher: str, level: Level, x_channels: int) -> Self:
        """The plan for one level.

        Args:
            teacher: Whose it is.
            level: It has the name of the feature.
            x_channels: Channels of the student's global feature.
        """
        size = level.channels
        maps = {level.name: size} if level.kind == "dense" else {}
        return cls(
            teacher=teacher, level=level, maps=maps, x_channels=x_channels, hidden=size, latent=size
        )

    @property
    def feature(self) -> str:
        """The level's name."""
        return self.level.name

    @property
    def parameters(self) -> int:
        """None."""
        return 0
