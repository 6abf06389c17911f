"""Intervals of scores by the bootstrap: images are drawn anew, with replacement.

The seed is fixed and images are drawn in the order of the data, so all models that are measured on
the same images get the same draws: what is compared is compared on the same images each time.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from kivfm_core.task import Meter, weighted_means

DRAWS, SEED = 1000, 0
# The lower and the upper end, in 0..1.
Interval = tuple[float, float]
# One number a draw; NaN where a draw has nothing that is measured.
Draws = NDArray[np.float64]
ENDS = (0.025, 0.975)
# Numbers in an array of draws and images, at most: more take memory, and no less time.
NUMBERS = 2**22


def draw_images(images: Sequence[int], size: int) -> Generator[NDArray[np.float64]]:
    """Draws as many images as there are, `DRAWS` times.

    Args:
        images: Those to draw from, as indices into the data.
        size: How many images the data has.

    Yields:
        `[D, size]`, how often each image is in each of the next D draws.
    """
    random, places = np.random.default_rng(SEED), np.sort(np.asarray(images, np.int64))
    rows = max(1, NUMBERS // max(1, size))
    for start in range(0, DRAWS, rows):
        number = min(rows, DRAWS - start)
        drawn = places[random.integers(len(places), size=(number, len(places)))]
        drawn += np.arange(number)[:, None] * size
        counts = np.bincount(drawn.ravel(), minlength=number * size)
        yield counts.reshape(number, size).astype(float)


def resample(meters: Sequence[Meter], images: Sequence[int], size: int) -> list[Draws | None]:
    """What meters of one task would have scored on the same draws of their images.

    Args:
        meters: After their score was computed.
        images: The images that they saw, as indices into the data.
        size: How many images the data has.

    Returns:
        The draws of each meter; None for a kind that does not say.
    """
    parts = [[meter.resample(counts) for meter in meters] for counts in draw_images(images, size)]
    return [_joined(own) for own in zip(*parts, strict=True)]


def _joined(parts: Sequence[Draws | None]) -> Draws | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def draw_means(sums: NDArray[np.float64], numbers: NDArray[np.float64] | None = None) -> Draws:
    """The draws of a mean over images.

    Args:
        sums: `[N]` or `[N, K]`, the sum over what is counted in each image.
        numbers: How much that is; one by default.
    """
    numbers = np.ones_like(sums) if numbers is None else numbers
    counts = draw_images(range(len(sums)), len(sums))
    return np.concatenate([weighted_means(part, sums, numbers) for part in counts])


def interval(draws: Draws | None, value: float, limits: Interval = (0.0, 1.0)) -> Interval | None:
    """The middle 95 % of draws, about a score; None if too many of them have nothing to measure.

    Draws are moved so that their median is the score. Average precision and mean IoU are no means
    over images: with images drawn twice and others not at all, they are higher or lower than on the
    images themselves, often by more than half an interval.

    Args:
        draws: Of the score.
        value: The score itself.
        limits: What it can be.
    """
    if draws is None:
        return None
    known = draws[np.isfinite(draws)]
    if len(known) < (ENDS[1] - ENDS[0]) * len(draws):
        return None
    low, middle, high = np.quantile(known, (ENDS[0], 0.5, ENDS[1]))
    ends = np.clip((low - middle + value, high - middle + value), *limits)
    return float(min(ends[0], value)), float(max(ends[1], value))


def shares(part: Draws | None, whole: Draws | None) -> Draws | None:
    """Draws of a ratio, draw by draw; NaN where there is nothing to have a share of."""
    if part is None or whole is None:
        return None
    return part / np.where(whole > 0, whole, np.nan)


def differences(one: Draws | None, other: Draws | None) -> Draws | None:
    """Draws of a difference, draw by draw."""
    return None if one is None or other is None else one - other


def redraw(rows: Sequence[tuple[float, Interval]]) -> NDArray[np.float64]:
    """Values anew for rows of which only the interval is known, each row on its own: `[D, R]`.

    On each side of its value a row is drawn from the half of a normal distribution that leaves as
    much outside of the interval.
    """
    deviations = np.random.default_rng(SEED).standard_normal((DRAWS, len(rows)))
    values, lows, highs = np.array([(value, *ends) for value, ends in rows]).reshape(-1, 3).T
    widths = np.where(deviations < 0, values - lows, highs - values)
    return values + deviations * widths / NormalDist().inv_cdf(ENDS[1])
