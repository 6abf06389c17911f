"""The joint aligner's shapes and parameters, without torch."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from kivfm_core.aligners.identity_plan import IdentityPlan
from kivfm_core.aligners.latent_plan import LatentPlan

# The student's features that its shared head gives: of every place, and of the image.
PLACES, IMAGE = "Z", "z"


def shared_map_parameters(latent: int, shared: int) -> int:
    """Numbers of a `SharedMap`: two matrices, the center, and the scale of what is private."""
    return 2 * latent * shared + latent + 1


class JointPlan(LatentPlan):
    """A latent aligner that takes the shared coordinates, and predicts only what they lack.

    Attributes:
        learned: Whether its maps to them and back are trained.
        shared: Coordinates of the space that all teachers share.
    """

    module: ClassVar[str] = "kivfm_core.aligners.joint:JointAligner"
    learned: ClassVar[bool] = False
    native_kind: ClassVar[str] = "joint-identity"

    kind: str = "joint"
    shared: int = Field(gt=0)

    @property
    def reads(self) -> tuple[str, ...]:
        """Its projector's maps, and the shared coordinates."""
        return (*self.maps, PLACES if self.level.kind == "dense" else IMAGE)

    @property
    def parameters(self) -> int:
        """A latent aligner's, and the map from the shared coordinates and back."""
        return super().parameters + shared_map_parameters(self.latent, self.shared)


class JointIdentityPlan(IdentityPlan):
    """The level is the student's own x or V, and has a part in what teachers agree on.

    Attributes:
        learned: Whether its maps to them and back are trained.
        shared: Coordinates of the space that all teachers share.
    """

    module: ClassVar[str] = "kivfm_core.aligners.joint:JointIdentityAligner"
    learned: ClassVar[bool] = False

    kind: str = "joint-identity"
    shared: int = Field(gt=0)
