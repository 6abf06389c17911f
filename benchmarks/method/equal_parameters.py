"""The same number of trainable parameters for every recipe."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.common import NANO
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config

IMAGE_SIZE = 96
WITHIN = 0.02
WIDTHS, HIDDENS = range(128, 257, 8), range(4, 1025, 4)  # attention has four heads
NANO_SETS = (f"data.image_size={IMAGE_SIZE}",)


class Size(NamedTuple):
    """How large a student is.

    Attributes:
        width: Channels of its adapter.
        hidden: Hidden width of its aligners.
    """

    width: int
    hidden: int


def trainable(
    recipe: str, size: Size, teachers: str = NANO, sets: Sequence[str] = NANO_SETS
) -> int:
    """Trainable parameters of a recipe's student.

    Args:
        recipe: Its name.
        size: Of the student.
        teachers: Names, separated by commas; the base comes first.
        sets: Further settings, `key=value`.
    """
    flags = {
        "teachers": teachers,
        "recipe": recipe,
        "student.width": size.width,
        "student.hidden": size.hidden,
    }
    return compose(build_config(None, flags, sets)).trainable


def equal_size(
    recipe: str,
    parameters: int,
    teachers: str = NANO,
    sets: Sequence[str] = NANO_SETS,
    widths: Iterable[int] = WIDTHS,
) -> Size:
    """The size at which a recipe's trainable parameters come nearest to a number.

    Aligners are made to fit the first width; the next one is taken if they cannot. The other
    arguments are those of `trainable`.

    Raises:
        ValueError: If they are not within 2 % of it at any size.
    """

    def excess(size: Size) -> int:
        return trainable(recipe, size, teachers, sets) - parameters

    for width in widths:
        at = bisect_left(HIDDENS, 0, key=lambda hidden: excess(Size(width, hidden)))
        near = [Size(width, hidden) for hidden in HIDDENS[max(at - 1, 0) : at + 1]]
        size = min(near, key=lambda size: abs(excess(size)))
        if abs(excess(size)) <= WITHIN * parameters:
            return size
    raise ValueError(f"{recipe} has no size with {parameters} trainable parameters")
