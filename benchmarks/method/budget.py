"""The same number of trainable parameters for every recipe."""

from __future__ import annotations

from bisect import bisect_left

from benchmarks.common import NANO
from kivfm_core.compose import compose
from kivfm_core.config import build_config

WIDTH, IMAGE_SIZE = 128, 96
WITHIN = 0.02


def trainable(recipe: str, hidden: int) -> int:
    """Trainable parameters of the nano student of a recipe, at a hidden width of its aligners."""
    flags = {
        "teachers": NANO.split(","),
        "recipe": recipe,
        "student.width": WIDTH,
        "student.hidden": hidden,
        "data.image_size": [IMAGE_SIZE],
    }
    return compose(build_config(None, flags)).trainable


def equal_hidden(recipe: str, budget: int) -> int:
    """The hidden width at which a recipe's trainable parameters come nearest to a budget.

    Raises:
        ValueError: If they are not within 2 % of it at any width.
    """
    widths = range(4, 1025, 4)  # attention has four heads
    at = bisect_left(widths, budget, key=lambda hidden: trainable(recipe, hidden))
    near = widths[max(at - 1, 0) : at + 1]
    hidden = min(near, key=lambda hidden: abs(trainable(recipe, hidden) - budget))
    found = trainable(recipe, hidden)
    if abs(found - budget) > WITHIN * budget:
        raise ValueError(f"{recipe} has {found} trainable parameters at its nearest, not {budget}")
    return hidden
