"""The same number of trainable parameters for every recipe."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from benchmarks.common import NANO
from kivfm_core.compose import compose
from kivfm_core.config import build_config

IMAGE_SIZE = 96
WITHIN = 0.02
WIDTHS, HIDDENS = range(128, 257, 8), range(4, 1025, 4)  # attention has four heads


class Size(NamedTuple):
    """How large a student is.

    Attributes:
        width: Channels of its adapter.
        hidden: Hidden width of its aligners.
    """

    width: int
    hidden: int


def trainable(recipe: str, size: Size) -> int:
    """Trainable parameters of the nano student of a recipe."""
    flags = {
        "teachers": NANO.split(","),
        "recipe": recipe,
        "student.width": size.width,
        "student.hidden": size.hidden,
        "data.image_size": [IMAGE_SIZE],
    }
    return compose(build_config(None, flags)).trainable


def equal_size(recipe: str, budget: int) -> Size:
    """The size at which a recipe's trainable parameters come nearest to a budget.

    Aligners are made to fit the narrowest adapter; a wider one is taken if they cannot.

    Raises:
        ValueError: If they are not within 2 % of it at any size.
    """
    for width in WIDTHS:
        at = bisect_left(HIDDENS, budget, key=lambda hidden: trainable(recipe, Size(width, hidden)))
        near = [Size(width, hidden) for hidden in HIDDENS[max(at - 1, 0) : at + 1]]
        size = min(near, key=lambda size: abs(trainable(recipe, size) - budget))
        if abs(trainable(recipe, size) - budget) <= WITHIN * budget:
            return size
    raise ValueError(f"{recipe} has no size with {budget} trainable parameters")
