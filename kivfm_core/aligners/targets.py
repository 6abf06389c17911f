"""Teachers' sides of aligners: fixed maps `y = ((x - mean) / std) @ axes`, fitted in closed form.

They are fitted from a level's mean `[C]` and covariance `[C, C]`. The axes `[C, K]` are orthogonal
and of one length, so `axes.T` over that length squared leads back.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan2

import torch
from torch import Tensor

# Share of the largest variance below which a principal axis is taken for rounding error.
STILL = 1e-9

# Mean `[C]`, standard deviation `[C]` and axes `[C, K]`.
Fit = tuple[Tensor, Tensor, Tensor]


def into_latent(level: Tensor, mean: Tensor, std: Tensor, axes: Tensor) -> Tensor:
    """`[B, C]` to `[B, K]`, or `[B, C, h, w]` to `[B, K, h, w]`."""
    x = level if level.ndim == 2 else level.permute(0, 2, 3, 1)
    x = ((x - mean) / std) @ axes
    return x if level.ndim == 2 else x.permute(0, 3, 1, 2)


def from_latent(
    latent: Tensor, mean: Tensor, std: Tensor, axes: Tensor, length: Tensor | None = None
) -> Tensor:
    """`[B, K]` to `[B, C]`, or `[B, K, h, w]` to `[B, C, h, w]`.

    Args:
        latent: Coordinates.
        mean: Of the level, `[C]`.
        std: What its channels were divided by, `[C]`.
        axes: `[C, K]`.
        length: Squared length of the axes; by default that of the first one.
    """
    x = latent if latent.ndim == 2 else latent.permute(0, 2, 3, 1)
    # The axes are orthogonal and of one length, so this is their pseudo-inverse.
    x = (x @ axes.T) / (axes[:, 0].square().sum() if length is None else length) * std + mean
    return x if latent.ndim == 2 else x.permute(0, 3, 1, 2)


def principal(mean: Tensor, covariance: Tensor, latent: int) -> Fit:
    """Standardized channels' leading principal axes, scaled to unit mean variance."""
    std = _std(covariance)
    values, axes = torch.linalg.eigh(covariance / (std[:, None] * std))
    # Where nothing varies, the axis would be a matter of rounding: it is set to zero.
    values = values.clamp(min=0)
    axes = axes * (values >= STILL * values.max())
    # eigh leaves signs open; the largest entry made positive makes the axes reproducible.
    axes = axes.flip(1)[:, :latent]
    peak = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    taken = values.flip(0)[:latent]
    return mean, std, axes * peak.sign() / taken.mean().clamp(min=1e-8).sqrt()


def none(mean: Tensor, covariance: Tensor, latent: int) -> Fit:
    """The raw level."""
    return torch.zeros_like(mean), torch.ones_like(mean), _eye(mean)


def channel(mean: Tensor, covariance: Tensor, latent: int) -> Fit:
    """Mean zero and variance one in every channel."""
    return mean, _std(covariance), _eye(mean)


def scale(mean: Tensor, covariance: Tensor, latent: int) -> Fit:
    """Variance one in every channel, means as they are."""
    return torch.zeros_like(mean), _std(covariance), _eye(mean)


def phi_s(mean: Tensor, covariance: Tensor, latent: int) -> Fit:
    """Unit variance in every coordinate by one rotation and one scale (arXiv 2410.01680).

    The paper rotates principal axes by a Hadamard matrix, which does not exist for every width. Any
    rotation to equal variances serves the same purpose.
    """
    values, axes = torch.linalg.eigh(covariance)
    size = values.clamp(min=0).mean().clamp(min=1e-12)
    return mean, torch.ones_like(mean), axes @ _equalizing(values.clamp(min=0) / size) / size.sqrt()


def dispersion(mean: Tensor, covariance: Tensor) -> float:
    """Mean squared angle between vectors and their mean, in radians squared.

    In many dimensions, deviations from the mean are nearly orthogonal to it, so the angle follows
    from their two lengths.
    """
    return atan2(float(covariance.trace().clamp(min=0).sqrt()), float(mean.norm())) ** 2


def _std(covariance: Tensor) -> Tensor:
    # A channel that hardly varies would be scaled up to unit variance, and be all noise.
    std = covariance.diagonal().clamp(min=0).sqrt()
    return std.maximum(0.1 * std.mean()).clamp(min=1e-8)


def _eye(mean: Tensor) -> Tensor:
    return torch.eye(len(mean), dtype=mean.dtype)


def _equalizing(variances: Tensor) -> Tensor:
    """A rotation after which variances of mean one are all one (Bendel and Mickey, 1978).

    Each step rotates the coordinates of smallest and largest variance, in their own plane, by the
    angle that makes the first of these variances one; that coordinate is then done.
    """
    # `matrix` is the covariance, `rotation` what has been applied to it so far.
    matrix, rotation = variances.diag(), torch.eye(len(variances), dtype=variances.dtype)
    open_ = list(range(len(variances)))
    while len(open_) > 1:
        low = min(open_, key=lambda i: float(matrix[i, i]))
        high = max(open_, key=lambda i: float(matrix[i, i]))
        a, b, c = (float(matrix[i, j]) for i, j in ((low, low), (high, high), (low, high)))
        if b - a < 1e-9:
            break
        root = max(c * c - (a - 1) * (b - 1), 0.0) ** 0.5
        tangent = (c + (root if c >= 0 else -root)) / (b - 1)
        cosine = (1 + tangent * tangent) ** -0.5
        turn = torch.tensor([[cosine, cosine * tangent], [-cosine * tangent, cosine]]).to(matrix)
        pair = [low, high]
        matrix[:, pair] = matrix[:, pair] @ turn
        matrix[pair] = turn.T @ matrix[pair]
        rotation[:, pair] = rotation[:, pair] @ turn
        open_.remove(low)
    return rotation


TARGETS: dict[str, Callable[[Tensor, Tensor, int], Fit]] = {
    "principal": principal,
    "learned": principal,
    "none": none,
    "direction": none,
    "channel": channel,
    "scale": scale,
    "phi-s": phi_s,
}
