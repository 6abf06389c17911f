"""The shared head's shapes and parameters, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import model_validator

from kivfm_core.aligners.joint_plan import IMAGE, PLACES
from kivfm_core.aligners.projector_plan import ProjectorPlan
from kivfm_core.errors import printable
from kivfm_core.spec import Record


class SharedHeadPlan(Record):
    """The student's one head for what all teachers share.

    Attributes:
        places: Predicts the shared coordinates of every place, on V's grid.
        image: Predicts those of the image.
    """

    places: ProjectorPlan
    image: ProjectorPlan

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        for part, name, kind in ((self.places, PLACES, "dense"), (self.image, IMAGE, "global")):
            level = part.level
            if (level.name, level.kind) != (name, kind):
                raise ValueError(
                    f"the shared head gives {printable(level.name)} in place of {name}"
                )
            if not self.shared == part.latent == level.channels:
                raise ValueError(f"the shared head gives {name} of two sizes")
        return self

    @property
    def shared(self) -> int:
        """Number of shared coordinates."""
        return self.places.latent

    @property
    def parameters(self) -> int:
        """Both projectors', a weight for each coordinate, and the image's unit."""
        return self.places.parameters + self.image.parameters + self.shared + 1

    def activation_numbers(self, cells: Mapping[str, int], grid: tuple[int, int]) -> int:
        """Numbers that a training pass keeps of one view for the gradient, by estimate.

        Args:
            cells: Cells of the student's maps, by name.
            grid: Of V, `(h, w)`.
        """
        return self.places.activation_numbers(cells, grid) + self.image.activation_numbers(
            cells, None
        )
