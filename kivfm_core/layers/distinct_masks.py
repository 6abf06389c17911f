"""Of masks that overlap, the best."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def distinct_masks(masks: Tensor, same: float) -> Iterator[int]:
    """Indices of masks that are not the same as an earlier such mask.

    Args:
        masks: Bool `[N, H, W]`, best first.
        same: Masks are the same if they overlap by more than this (IoU).
    """
    flat = masks.flatten(1)
    areas = flat.sum(1)
    left = torch.ones(len(flat), dtype=torch.bool)
    for index in range(len(flat)):
        if left[index]:
            yield index
            rest = left.nonzero()[:, 0]
            common = (flat[rest] & flat[index]).sum(1)
            left[rest] = common / (areas[rest] + areas[index] - common) <= same
