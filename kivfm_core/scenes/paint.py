"""Paint one object onto an image."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kivfm_core.scenes.backgrounds import Pixels
from kivfm_core.scenes.shapes import SHAPES
from kivfm_core.scenes.styles import Style
from kivfm_core.scenes.surfaces import emboss, noise, pattern, step
from kivfm_core.scenes.vocabulary import COLORS

_MARGIN = 12  # pixels around an object that its shadow and glow may reach


@dataclass(frozen=True)
class Placement:
    """What is painted where: center and radius in pixels, turn in radians."""

    category: str
    color: str
    texture: str
    x: float
    y: float
    radius: float
    turn: float


def paint(
    rng: np.random.Generator,
    style: Style,
    image: Pixels,
    owner: NDArray[np.uint8],
    number: int,
    placement: Placement,
    light: float,
) -> None:
    """Paint an object over what is there.

    Args:
        rng: Source of randomness.
        style: The domain's way of drawing.
        image: [H, W, 3], changed in place.
        owner: Number of the object that owns each pixel, [H, W], changed in place.
        number: This object's number.
        placement: What, where, how large.
        light: Direction that the light comes from, in radians.
    """
    height, width = owner.shape
    radius, reach = placement.radius, placement.radius + _MARGIN
    x0, x1 = max(0, int(placement.x - reach)), min(width, int(placement.x + reach) + 1)
    y0, y1 = max(0, int(placement.y - reach)), min(height, int(placement.y + reach) + 1)
    u, v = _own_coordinates(placement, *np.mgrid[y0:y1, x0:x1].astype(np.float32))
    distance = radius * SHAPES[placement.category](u, v)
    if style.wobble:
        distance = distance + style.wobble * noise(rng, y1 - y0, x1 - x0, 6)

    patch = image[y0:y1, x0:x1]
    toward = (math.cos(light), math.sin(light))
    if style.shadow:
        shift = (-round(4 * toward[1]), -round(4 * toward[0]))
        cast = step(np.roll(distance, shift, (0, 1)), 6)
        patch *= (1 - style.shadow * cast)[..., None]
    base = _color(rng, style, placement)
    if style.glow:
        patch += style.glow * np.exp(-np.maximum(distance, 0) / 5)[..., None] * base

    tones = _tones(rng, style, placement, (u, v))
    if style.bevel:
        tones = tones * (1 + style.bevel * emboss(distance, toward, 0.3 * radius))
    if style.grain:
        tones = tones * (1 + style.grain * noise(rng, y1 - y0, x1 - x0, 4))
    colored = tones[..., None] * base
    if style.outline:
        line = abs(style.outline) * step(np.abs(distance + 0.8) - 0.8)
        colored = colored + (float(style.outline < 0) - colored) * line[..., None]
    patch += (colored - patch) * step(distance)[..., None]
    owner[y0:y1, x0:x1][distance < 0] = number


def _own_coordinates(
    placement: Placement, y: NDArray[Any], x: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pixels `[h, w]` in the object's own axes, in units of its radius."""
    x, y = (x - placement.x) / placement.radius, (y - placement.y) / placement.radius
    cos, sin = math.cos(placement.turn), math.sin(placement.turn)
    return cos * x + sin * y, cos * y - sin * x


def _color(rng: np.random.Generator, style: Style, placement: Placement) -> NDArray[np.float32]:
    """The object's color in this style, `[3]`, a little off."""
    base = np.array(COLORS[placement.color], dtype=np.float32)
    base = base.mean() + style.saturation * (base - base.mean())
    return base * (1 + rng.uniform(-0.08, 0.08, 3).astype(np.float32))


def _tones(
    rng: np.random.Generator,
    style: Style,
    placement: Placement,
    where: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Light and dark of the object's texture, `[h, w]`, at the object's own coordinates."""
    period = float(np.clip(rng.uniform(7, 11) / placement.radius, 0.28, 0.7))
    texture = pattern(placement.texture, *where, placement.radius, period)
    return (1 - (1 - style.contrast) * texture) * float(rng.uniform(*style.brightness))
