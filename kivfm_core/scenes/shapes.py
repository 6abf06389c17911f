"""Silhouettes as signed distances: negative inside, in units of the object's radius."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# An array [h, w] with one value a pixel.
Field = NDArray[np.floating[Any]]

# Coordinates (u to the right, v down), each [h, w] -> signed distance [h, w].
Shape = Callable[[Field, Field], Field]


def _disc(u: Field, v: Field) -> Field:
    return np.hypot(u, v) - 0.88


def _ring(u: Field, v: Field) -> Field:
    return np.abs(np.hypot(u, v) - 0.68) - 0.24


def _square(u: Field, v: Field) -> Field:
    return np.maximum(np.abs(u), np.abs(v)) - 0.76


def _cross(u: Field, v: Field) -> Field:
    a, b = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(a - 0.95, b - 0.31), np.maximum(a - 0.31, b - 0.95))


def _crescent(u: Field, v: Field) -> Field:
    return np.maximum(np.hypot(u, v) - 0.95, 0.74 - np.hypot(u - 0.48, v))


def _gear(u: Field, v: Field) -> Field:
    radius = np.hypot(u, v)
    teeth = np.clip(2.5 * np.cos(8 * np.arctan2(v, u)), -1, 1)
    return np.maximum(radius - 0.80 - 0.14 * teeth, 0.28 - radius)


def _heart(u: Field, v: Field) -> Field:
    a, w = np.abs(u) * 0.62, 0.52 - v * 0.62  # the point of the heart lies at the origin, below
    lobe = np.hypot(a - 0.25, w - 0.75) - 0.3536
    side = np.maximum(a - w, a + w - 1)  # the diamond below the lobes
    diamond = side * 0.7071
    return np.minimum(lobe, diamond) / 0.62


def _drop(u: Field, v: Field) -> Field:
    bulb = np.hypot(u, v - 0.36) - 0.60
    cone = np.maximum(0.894 * np.abs(u) - 0.447 * (v + 0.98), v - 0.09)
    return np.minimum(bulb, cone)


def _polygon(*corners: tuple[float, float]) -> Shape:
    """Make the shape of a closed polygon; its distance is exact."""
    points = np.array(corners, dtype=np.float32)

    def distance(u: Field, v: Field) -> Field:
        nearest = np.full(u.shape, np.inf, dtype=np.float32)
        inside = np.zeros(u.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
            ex, ey, px, py = bx - ax, by - ay, u - ax, v - ay
            along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
            nearest = np.minimum(nearest, (px - ex * along) ** 2 + (py - ey * along) ** 2)
            if ay != by:
                inside ^= ((ay > v) != (by > v)) & (px < ex * py / ey)
        return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)

    return distance


def _spikes(points: int, inner: float) -> tuple[tuple[float, float], ...]:
    """Give the corners of a star, or of a regular polygon if `inner` is 1."""
    turns = np.arange(2 * points) * np.pi / points - np.pi / 2
    radii = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return tuple(
        (float(r * np.cos(t)), float(r * np.sin(t))) for r, t in zip(radii, turns, strict=True)
    )


# Category -> silhouette.
SHAPES: dict[str, Shape] = {
    "disc": _disc,
    "square": _square,
    "triangle": _polygon((0, -0.95), (0.9, 0.66), (-0.9, 0.66)),
    "star": _polygon(*_spikes(5, 0.45)),
    "cross": _cross,
    "ring": _ring,
    "heart": _heart,
    "crescent": _crescent,
    "arrow": _polygon(
        (0, -1), (0.72, -0.18), (0.27, -0.18), (0.27, 0.92), (-0.27, 0.92), (-0.27, -0.18),
        (-0.72, -0.18),
    ),
    "gear": _gear,
    "drop": _drop,
    "bolt": _polygon(
        (0.22, -1), (-0.62, 0.14), (-0.10, 0.14), (-0.26, 1), (0.62, -0.26), (0.10, -0.26),
        (0.56, -1),
    ),
}  # fmt: skip
