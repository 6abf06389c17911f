"""Dense features as colors: three principal components, the same for all images of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# At every place the mean over the images is removed if so many have maps of one size: with fewer,
# the mean is mostly the image itself.
ENOUGH = 4
# Principal components are found from at most so many places.
PLACES = 20_000
# This share of the values at each end is drawn as the darkest and the brightest.
CUT = 0.01


def feature_colors(maps: Sequence[Tensor]) -> list[NDArray[np.uint8]]:
    """Colors of a model's dense features, comparable between the images of one call.

    Args:
        maps: One dense map an image, `[C, H, W]`; sizes may differ, channels may not.

    Returns:
        RGB uint8 `[H, W, 3]` an image.
    """
    return paint(components(without_places(maps)))


def without_places(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps less what is the same in all images at a place, as position embeddings leave it.

    Args:
        maps: `[C, H, W]` an image; those of a size that fewer than `ENOUGH` have stay as they are.
    """
    sizes: dict[torch.Size, list[Tensor]] = {}
    for one in maps:
        sizes.setdefault(one.shape, []).append(one)
    means = {size: torch.stack(of).float().mean(0) for size, of in sizes.items() if _enough(of)}
    return [one.float() - means[one.shape] if one.shape in means else one.float() for one in maps]


def _enough(maps: Sequence[Tensor]) -> bool:
    return len(maps) >= ENOUGH


def components(maps: Sequence[Tensor]) -> list[Tensor]:
    """The three principal components of all places, each of variance 1.

    Args:
        maps: `[C, H, W]` an image.

    Returns:
        `[3, H, W]` an image; components that the maps do not have are zero. Their signs are such
        that the longer tail is positive.
    """
    rows = _rows(maps).double()
    some = rows[:: -(-len(rows) // PLACES)]
    mean = some.mean(0)
    _, sizes, axes = torch.linalg.svd(some - mean, full_matrices=False)
    count = int((sizes[:3] > 1e-6 * sizes[0].clamp(min=1e-12)).sum())
    scores = (rows - mean) @ axes[:count].T
    scores /= scores.square().mean(0).sqrt().clamp(min=1e-12)
    scores *= torch.where(scores.pow(3).sum(0) < 0, -1.0, 1.0)
    return _back(torch.nn.functional.pad(scores, (0, 3 - count)).float(), maps)


def turned(maps: Sequence[Tensor], like: Sequence[Tensor]) -> list[Tensor]:
    """Components turned so that they come nearest to another model's: orthogonal Procrustes.

    Args:
        maps: `[3, H, W]` an image.
        like: The other model's, of the same images and sizes.
    """
    own, other = _rows(maps).double(), _rows(like).double()
    left, _, right = torch.linalg.svd(own.T @ other)
    return _back((own @ left @ right).float(), maps)


def paint(maps: Sequence[Tensor]) -> list[NDArray[np.uint8]]:
    """Components as colors; one scale for all images.

    Args:
        maps: `[3, H, W]` an image.

    Returns:
        RGB uint8 `[H, W, 3]` an image.
    """
    rows = _rows(maps).numpy()
    low, high = np.quantile(rows, (CUT, 1 - CUT), axis=0)
    room = np.maximum(high - low, 1e-6)
    shown = [(one.permute(1, 2, 0).numpy() - low) / room for one in maps]
    return [(one.clip(0, 1) * 255).round().astype(np.uint8) for one in shown]


def _rows(maps: Sequence[Tensor]) -> Tensor:
    """All places `[N, C]` of maps `[C, H, W]`."""
    return torch.cat([one.detach().float().cpu().flatten(1).T for one in maps])


def _back(rows: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
    """Rows `[N, K]` as maps `[K, H, W]` of the sizes that these have."""
    parts = rows.split([one.shape[1] * one.shape[2] for one in maps])
    return [
        part.T.reshape(-1, *one.shape[1:]).contiguous()
        for part, one in zip(parts, maps, strict=True)
    ]
