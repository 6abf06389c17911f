"""A score for each task in, one figure over the teachers out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def over_teachers(scores: Scores, teachers: Sequence[str]) -> dict[str, Scores]:
    """Mean, minimum and spread over the teachers, each of them the mean of its tasks.

    Args:
        scores: `[..., tasks]`.
        teachers: Whose task each is.

    Returns:
        `mean`, `min` and `std` (of the population), each `[...]`.
    """
    names = np.array(teachers)
    each = np.stack([scores[..., names == name].mean(-1) for name in dict.fromkeys(teachers)], -1)
    return {"mean": each.mean(-1), "min": each.min(-1), "std": each.std(-1)}
