"""What an aligner will be: its shapes and parameters, without torch."""

from __future__ import annotations

from typing import Literal

from kivfm_core.spec import Level, Record


class AlignerPlan(Record):
    """One teacher level's way to and from the student.

    Attributes:
        kind: Key of the table of aligners.
        teacher: The teacher's name.
        level: The level that is matched.
        inputs: Channels of the student's features that it reads.
        hidden: Hidden width of its MLP.
        latent: Coordinates of the shared latent that the level takes.
    """

    kind: Literal["latent", "identity"] = "latent"
    teacher: str
    level: Level
    inputs: int
    hidden: int
    latent: int

    @property
    def key(self) -> str:
        """Name among a student's aligners, free of dots and slashes."""
        return f"{self.teacher}:{self.level.name}".replace(".", "_").replace("/", "-")

    @property
    def parameters(self) -> int:
        """Everything that inference uses: the MLP, and the fitted map to the teacher's level."""
        if self.kind == "identity":
            return 0
        mlp = 2 * self.inputs + self.inputs * self.hidden + self.hidden
        head = self.hidden * self.latent + self.latent
        return mlp + head + self.latent * self.level.channels + 2 * self.level.channels
