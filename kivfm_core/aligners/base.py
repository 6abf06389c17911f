"""What every aligner offers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from kivfm_core.aligners.plan import AlignerPlan

Features = Mapping[str, Tensor]


class Aligner(nn.Module):
    """Between one teacher level, the shared latent, and the student's features.

    Latent coordinates are `[B, K]` for a global level and `[B, K, h, w]` for a dense one.
    """

    def __init__(self, plan: AlignerPlan) -> None:
        super().__init__()
        self.plan = plan

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's latent coordinates for this level, dense ones on `grid`."""
        raise NotImplementedError

    def to_latent(self, level: Tensor) -> Tensor:
        """A teacher's level in the shared latent."""
        raise NotImplementedError

    def lost(self, level: Tensor) -> Tensor | float:
        """What a map that is learned loses of a teacher's level on the way and back, `[B]`."""
        return 0.0

    def forget(self) -> None:
        """Predicts nothing but zeros, as at the start: the mean of a centered level."""

    @property
    def distance_unit(self) -> Tensor | float:
        """What a distance between coordinates of this level is counted in."""
        return getattr(self, "unit", 1.0)

    def to_level(self, latent: Tensor) -> Tensor:
        """From the shared latent back to the teacher's level."""
        raise NotImplementedError

    def fit(self, count: int, total: Tensor, outer: Tensor) -> None:
        """Fits the fixed part from streaming sums of the teacher's level.

        Args:
            count: Number of vectors.
            total: Their sum `[C]`.
            outer: The sum of their outer products `[C, C]`.
        """
