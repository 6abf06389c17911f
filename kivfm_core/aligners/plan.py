"""What an aligner will be: its shapes and parameters, without torch."""

from __future__ import annotations

from math import gcd
from typing import Literal

from kivfm_core.recipes.recipe import Projector, Target
from kivfm_core.spec import Level, Record

GLANCES = 4
KERNEL = 5


def heads_of(width: int) -> int:
    """Attention heads of a projector of this width."""
    return gcd(width, 4)


class AlignerPlan(Record):
    """One teacher level's way to and from the student.

    Attributes:
        kind: Key of the table of aligners.
        teacher: The teacher's name.
        level: The level that is matched.
        maps: Channels of the student's dense maps, by name.
        x_channels: Channels of its global feature; only a global level's aligner reads it.
        hidden: Hidden width of its MLP.
        latent: Coordinates of the shared latent that the level takes.
        target: The teacher's side: which fixed map leads to them.
        projector: The student's side.
    """

    kind: Literal["latent", "identity"] = "latent"
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
    def narrows(self) -> bool:
        """Whether the shared latent has fewer coordinates for the level than it has channels."""
        return self.kind == "latent" and self.latent < self.level.channels

    @property
    def inputs(self) -> int:
        """Channels of the student's features that it reads."""
        return sum(self.maps.values()) + (self.x_channels if self.level.kind == "global" else 0)

    @property
    def parameters(self) -> int:
        """Everything that inference uses: the MLP, and the fitted map to the teacher's level."""
        if self.kind == "identity":
            return 0
        read = 2 * self.inputs + sum(self.maps.values()) * self.hidden + self.hidden
        head = self.hidden * self.latent + self.latent
        if self.level.kind == "global":
            looks = self.hidden * GLANCES + GLANCES
            head = looks + (GLANCES * self.hidden + self.x_channels) * self.latent + self.latent
        elif self.projector == "convolution":
            read += self.hidden * KERNEL**2 + self.hidden
        if self.projector == "attention":
            read += 8 * self.hidden**2 + 11 * self.hidden
        unit = 1 if self.target in ("direction", "learned") else 0
        return read + head + unit + self.latent * self.level.channels + 2 * self.level.channels
