"""Linear probe: top-1 accuracy of ridge regression to one-hot classes, in closed form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Strengths of the ridge, as shares of the features' mean squared singular value.
STRENGTHS = tuple(10.0**power for power in range(-3, 4))


def probe_accuracy(features: Tensor, targets: Tensor) -> float:
    """The share of images that are right, see `probe_right`."""
    return float(probe_right(features, targets).double().mean())


def probe_right(features: Tensor, targets: Tensor) -> Tensor:
    """Whether each image is right by a linear probe on standardized features, leave one out.

    Half of the images are scored at the strength that is best for the other half, so that no image
    chooses its own strength.

    Args:
        features: `[N, D]`.
        targets: Class indices `[N]`.

    Returns:
        `[N]`; the images with even numbers first.
    """
    x = features.double()
    std, mean = torch.std_mean(x, dim=0, correction=0)
    x = (x - mean) / std.clamp(min=1e-6)
    onehot = F.one_hot(targets).double()
    y = onehot - onehot.mean(0)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    power = s.square()
    projected = u.T @ y
    right: list[Tensor] = []
    for strength in STRENGTHS:
        shrink = power / (power + strength * power.mean().clamp(min=1e-12))
        fitted = u @ (shrink[:, None] * projected)
        # Each image's leverage: how much its own target moves its fit. 1 / N is the intercept's.
        leverage = (u.square() @ shrink + 1 / len(x)).clamp(max=1 - 1e-9)
        left_out = y - (y - fitted) / (1 - leverage)[:, None]
        right.append((left_out + onehot.mean(0)).argmax(dim=1) == targets)
    hits = torch.stack(right)  # [strengths, N]
    halves = hits[:, ::2], hits[:, 1::2]
    scored = [
        own[int(other.double().mean(dim=1).argmax())] for own, other in (halves, halves[::-1])
    ]
    return torch.cat(scored)
