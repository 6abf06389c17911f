"""The shapes and parameters of aligners' student's side, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from pydantic import Field

from kivfm_core.aligners.plan import AlignerPlan

# Vectors into which a global level's projector pools the image, each with weights of its own.
GLANCES = 4
KERNEL = 5

# Maps that a transformer block keeps beside its input: norms, queries, keys, values, its MLP's.
ATTENTION = 12


def heads_of(width: int) -> int:
    """Attention heads of a projector of this width."""
    return gcd(width, 4)


class ProjectorPlan(AlignerPlan):
    """The student's side of an aligner: an MLP that reads the student's features."""

    maps: dict[str, int] = Field(min_length=1)

    @property
    def parameters(self) -> int:
        """The projector's."""
        # A norm's weight and bias for each input channel, the maps' reads, and their common bias.
        read = 2 * self.inputs + sum(self.maps.values()) * self.hidden + self.hidden
        head = self.hidden * self.latent + self.latent
        if self.level.kind == "global":
            glances = self.hidden * GLANCES + GLANCES
            head = glances + (GLANCES * self.hidden + self.x_channels) * self.latent + self.latent
        elif self.projector == "convolution":
            read += self.hidden * KERNEL**2 + self.hidden
        if self.projector == "attention":
            # A transformer block: four square maps, an MLP of twice the width, two norms, biases.
            read += 8 * self.hidden**2 + 11 * self.hidden
        return read + head

    def activation_numbers(self, cells: Mapping[str, int], grid: tuple[int, int] | None) -> int:
        """The maps as they are read, the hidden layer, and the coordinates that are compared."""
        size = grid[0] * grid[1] if grid else min(cells[name] for name in self.maps)
        hidden = 2 * self.hidden * size
        if self.projector == "convolution" and grid:
            hidden += self.hidden * size
        if self.projector == "attention":
            hidden += ATTENTION * self.hidden * size
        # A finer map is resized before it is read, a coarser one after.
        read = sum(
            channels * (2 * size if cells[name] > size else cells[name])
            for name, channels in self.maps.items()
        )
        return read + hidden + super().activation_numbers(cells, grid)
