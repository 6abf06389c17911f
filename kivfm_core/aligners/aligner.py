"""The module of every aligner, whatever the kind."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from kivfm_core.aligners.plan import AlignerPlan

Features = Mapping[str, Tensor]


class Aligner(nn.Module):
    """Between one teacher level, the shared latent, and the student's features.

    Latent coordinates are `[B, K]` for a global level and `[B, K, h, w]` for a dense one.

    Attributes:
        round_trip_share: Share of the level's standardized variance that the way through the
            shared latent and back keeps, once the aligner is fitted.
    """

    def __init__(self, plan: AlignerPlan) -> None:
        super().__init__()
        self.plan = plan
        self.round_trip_share = 1.0

    @property
    def pools(self) -> bool:
        """Whether it pools an image into one vector.

        Its gradients are noisier than those of many cells, so it has a learning rate of its own,
        `optim.global_level_lr`.
        """
        return self.plan.level.kind == "global"

    @property
    def distance_unit(self) -> Tensor | float:
        """Distances between coordinates of this level are divided by it."""
        return 1.0

    def fit(self, count: int, total: Tensor, outer: Tensor) -> None:
        """Fits the teacher's side from streaming sums of the teacher's level.

        Args:
            count: Number of vectors.
            total: Their sum `[C]`.
            outer: The sum of their outer products `[C, C]`.
        """

    def predict(self, features: Features, grid: tuple[int, int] | None) -> Tensor:
        """The student's latent coordinates for this level, dense ones on `grid`."""
        raise NotImplementedError

    def to_latent(self, level: Tensor) -> Tensor:
        """From a teacher's level to the shared latent."""
        raise NotImplementedError

    def to_level(self, latent: Tensor) -> Tensor:
        """From the shared latent back to the teacher's level."""
        raise NotImplementedError

    def lost(self, level: Tensor) -> Tensor | float:
        """Error `[B]` of a teacher's level on the way to the latent and back; part of the loss.

        Zero where that way is fixed, since nothing could be learned from it.
        """
        return 0.0

    def forget(self) -> None:
        """Predicts zeros, as at the start: the mean of a centered level."""

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes activations again for the gradient instead of storing them; timm's name."""
