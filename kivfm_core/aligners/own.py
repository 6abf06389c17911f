"""The aligner of a head's levels: the student's own features, as they are."""

from __future__ import annotations

from torch import Tensor

from kivfm_core.aligners.aligner import Aligner, Features
from kivfm_core.layers.resize import resize


class OwnAligner(Aligner):
    """Passes one of the student's features on; there is nothing to fit or to train."""

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's feature of the level's name, a dense one on `grid`."""
        own = features[self.plan.level.name]
        return own if grid is None else resize(own, grid)

    def to_latent(self, level: Tensor) -> Tensor:
        """The level itself."""
        return level

    def to_level(self, latent: Tensor) -> Tensor:
        """The level itself."""
        return latent
