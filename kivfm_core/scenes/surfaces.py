"""What covers an object, and noise: fields over a patch of an image."""

import numpy as np
from PIL import Image

from kivfm_core.scenes.shapes import Field


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Field:
    """Draw smooth noise.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        cell: Size of a blob in pixels.

    Returns:
        [height, width], of mean 0 and within about [-1, 1].
    """
    grid = (max(2, round(height / cell) + 1), max(2, round(width / cell) + 1))
    coarse = rng.uniform(-1, 1, grid).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def step(distance: Field, softness: float = 1.0) -> Field:
    """Turn a signed distance in pixels into coverage: 1 inside, 0 outside, smooth between."""
    return np.clip(0.5 - distance / softness, 0, 1)


def pattern(texture: str, u: Field, v: Field, radius: float, period: float) -> Field:
    """Draw an object's texture.

    Args:
        texture: One of `vocabulary.TEXTURES`.
        u: Coordinate across the object, in radii, [h, w].
        v: Coordinate down the object, [h, w].
        radius: The object's radius in pixels, for smooth edges.
        period: Size of one repetition of stripes, in radii; other textures are coarser.

    Returns:
        0 where the object has its own color, 1 where it has the second tone, [h, w].
    """
    period *= {"dotted": 2.0, "checkered": 1.6}.get(texture, 1.0)
    sharp = radius * period / np.pi
    a, b = np.sin(2 * np.pi / period * u), np.sin(2 * np.pi / period * v)
    if texture == "striped":
        return np.clip(0.5 + sharp * a / 2, 0, 1)
    if texture == "checkered":
        return np.clip(0.5 + sharp * a * b, 0, 1)
    if texture == "dotted":
        return np.clip(0.5 + sharp * (a * a + b * b - 1.3) / 2, 0, 1)
    return np.zeros_like(u)


def emboss(distance: Field, light: tuple[float, float], width: float) -> Field:
    """Light a bevelled edge.

    Args:
        distance: Signed distance in pixels, [h, w].
        light: Direction that the light comes from (x, y), of length 1.
        width: Width of the bevel in pixels.

    Returns:
        Light in [-1, 1]: positive on edges that face the light, [h, w].
    """
    down, right = np.gradient(distance)
    slope = np.clip(1 + distance / width, 0, 1)
    return slope * (right * light[0] + down * light[1])
