"""The map between one level's coordinates and the space that all teachers share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class SharedFit(NamedTuple):
    """What a `SharedMap` is fitted to, for L coordinates of the level and K shared ones.

    Attributes:
        center: Mean of the level's coordinates, `[L]`.
        into: From the centered coordinates to what this level alone says of the shared ones, a
            ridge regression: `[L, K]`.
        out: From the shared coordinates to the mean of the level's given them: `[K, L]`.
        spread: Deviation of what is left, a coordinate's mean.
        share: Share of the level's variance that the shared coordinates explain.
    """

    center: Tensor
    into: Tensor
    out: Tensor
    spread: Tensor
    share: float


class SharedMap(nn.Module):
    """An invertible map `v -> (z, p)` of a level's coordinates: what is shared, and the rest.

    `z = (v - center) into` is what the level alone says of the shared coordinates, and
    `p = (v - center - z out) / spread` all that they do not say of it, so that
    `v = center + z out + spread p` whatever the two matrices are. A student has one z for all
    teachers in place of the level's own, and predicts p.

    Args:
        latent: The level's coordinates, L.
        shared: The shared ones, K.
        learned: Whether the matrices are trained, from what was fitted.

    Attributes:
        center: `[L]`.
        into: `[L, K]`.
        out: `[K, L]`.
        spread: A scalar.
    """

    center: Tensor
    into: Tensor
    out: Tensor
    spread: Tensor

    def __init__(self, latent: int, shared: int, learned: bool = False) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(latent))
        for name, matrix in (
            ("into", torch.zeros(latent, shared)),
            ("out", torch.zeros(shared, latent)),
        ):
            if learned:
                self.register_parameter(name, nn.Parameter(matrix))
            else:
                self.register_buffer(name, matrix)
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def fit(self, fitted: SharedFit) -> None:
        """Takes what was fitted."""
        for name in ("center", "into", "out", "spread"):
            getattr(self, name).copy_(getattr(fitted, name))

    def shared(self, v: Tensor) -> Tensor:
        """What the level says of the shared coordinates: `[B, L, ...]` to `[B, K, ...]`."""
        return along(v - self._center(v), self.into)

    def split(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """The shared part `[B, K, ...]` and the private one `[B, L, ...]`."""
        z = self.shared(v)
        return z, self.rest(v, z)

    def rest(self, v: Tensor, z: Tensor) -> Tensor:
        """What shared coordinates `[B, K, ...]` leave of the level's: `[B, L, ...]`."""
        return (v - self._center(v) - along(z, self.out)) / self.spread

    def join(self, z: Tensor, p: Tensor) -> Tensor:
        """The level's coordinates `[B, L, ...]` of both parts: undoes `split`."""
        return self._center(p) + along(z, self.out) + self.spread * p

    def _center(self, v: Tensor) -> Tensor:
        return self.center.view(1, -1, *(1,) * (v.ndim - 2))


def along(x: Tensor, matrix: Tensor) -> Tensor:
    """Maps `[B, C, ...]` by `[C, K]` to `[B, K, ...]`."""
    return torch.einsum("bc...,ck->bk...", x, matrix)
