"""What every kind of aligner declares, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kivfm_core.recipes.recipe import Projector, Target
from kivfm_core.spec import Level, Record


class AlignerPlan(Record):
    """One teacher level's way to and from the student. Each kind has a subclass.

    Attributes:
        module: Reference to its module, an `Aligner` that is built from the plan.
        native: Whether the level is the student's own feature, which the frozen base gives: the
            teacher then need not be run for it.
        native_kind: The kind that goes with this one, for native levels.
        kind: Its key in `ALIGNERS`; every subclass gives it a default.
        teacher: The teacher's name.
        level: The level that is matched.
        maps: Channels of the student's dense maps that it may read, by name.
        x_channels: Channels of the student's global feature; only a global level's aligner reads
            it.
        hidden: Hidden width of the student's side.
        latent: Coordinates of the shared latent that the level takes.
        target: The teacher's side: which map leads to these coordinates.
        projector: The student's side: what leads to them from its features.
    """

    module: ClassVar[str]
    native: ClassVar[bool] = False
    native_kind: ClassVar[str] = "identity"

    kind: str = ""
    teacher: str
    level: Level
    maps: dict[str, int]
    x_channels: int
    hidden: int
    latent: int
    target: Target = "principal"
    projector: Projector = "mlp"

    @property
    def key(self) -> str:
        """Name among a student's aligners, free of dots and slashes."""
        return f"{self.teacher}:{self.level.name}".replace(".", "_").replace("/", "-")

    @property
    def feature(self) -> str | None:
        """The student's feature that a native level is; None of other levels."""
        if not self.native:
            return None
        return "x" if self.level.kind == "global" else "V"

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the student's dense maps, and of other features, that it is made of."""
        return (self.feature,) if self.feature else tuple(self.maps)

    @property
    def narrows(self) -> bool:
        """Whether the shared latent has fewer coordinates for the level than it has channels."""
        return not self.native and self.latent < self.level.channels

    @property
    def inputs(self) -> int:
        """Channels of the student's features that it reads."""
        return sum(self.maps.values()) + (self.x_channels if self.level.kind == "global" else 0)

    @property
    def parameters(self) -> int:
        """Numbers that inference uses: trained parameters, and fitted buffers."""
        raise NotImplementedError

    def activation_numbers(self, cells: Mapping[str, int], grid: tuple[int, int] | None) -> int:
        """Numbers that a training pass keeps of one view for the gradient, by estimate.

        These here are the distance's, which every kind has.

        Args:
            cells: Cells of the maps that it reads, by name.
            grid: Of a dense level, `(h, w)`; None for a global one.
        """
        return 4 * self.latent * (grid[0] * grid[1] if grid else 1)
