"""What lies behind the objects, one function a domain: (rng, height, width) -> [H, W, 3]."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kivfm_core.scenes.shapes import Field
from kivfm_core.scenes.surfaces import noise, step

# RGB in [0, 1], [H, W, 3].
Pixels = NDArray[np.floating[Any]]

Background = Callable[[np.random.Generator, int, int], Pixels]


def _grid(height: int, width: int) -> tuple[Field, Field]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def _color(rng: np.random.Generator, low: float, high: float, saturation: float) -> Pixels:
    """Draw one color [3] of brightness in [low, high]."""
    tint = rng.uniform(0, 1, 3)
    tint = 1 + saturation * (tint - tint.mean())
    return (rng.uniform(low, high) * tint).astype(np.float32)


def _mix(first: Pixels, second: Pixels, share: Field) -> Pixels:
    """Blend two colors [3] or images [H, W, 3] by a field [H, W]."""
    return first + (second - first) * share[..., None]


def flat(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Hills, bands or a grid of tiles in two or three even tones."""
    x, y = _grid(height, width)
    tones = [_color(rng, 0.35, 0.9, 0.8) for _ in range(3)]
    kind, turn = rng.integers(3), rng.uniform(0, np.pi)
    along = (x * math.cos(turn) + y * math.sin(turn)) * (2 * np.pi / rng.uniform(24, 70))
    if kind == 0:
        image = _mix(tones[0], tones[1], y / height)
        for tone, level in ((tones[1], 0.55), (tones[2], 0.75)):
            swell = np.sin(x / rng.uniform(14, 30) + rng.uniform(0, 6)) * rng.uniform(3, 10)
            image = _mix(image, 0.85 * tone, step(height * level + swell - y))
    elif kind == 1:
        image = _mix(tones[0], tones[1], np.clip(0.5 + 4 * np.sin(along), 0, 1))
    else:
        size = rng.uniform(14, 30)
        tile = (x // size + y // size) % 2
        image = _mix(tones[0], 0.5 * tones[0] + 0.5 * tones[1], tile)
    for _ in range(rng.integers(2, 6)):  # discs without an edge, too faint to be objects
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(8, 40)
        image = _mix(image, tones[2], 0.25 * step(np.hypot(x - cx, y - cy) - r, 1.5))
    return image


def painted(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Broad strokes of three colors that run into each other."""
    x, y = _grid(height, width)
    tones = [_color(rng, 0.25, 0.8, 0.9) for _ in range(3)]
    cell = rng.uniform(24, 60)
    wash = _mix(tones[0], tones[1], np.clip(0.5 + noise(rng, height, width, cell), 0, 1))
    wash = _mix(wash, tones[2], np.clip(1.5 * noise(rng, height, width, cell / 2), 0, 1))
    turn, wander = rng.uniform(0, np.pi), 9 * noise(rng, height, width, 40)
    across = x * math.cos(turn) + y * math.sin(turn) + wander
    strokes = np.interp(across % 97, np.arange(98), rng.uniform(-1, 1, 98)).astype(np.float32)
    return wash * (1 + 0.16 * strokes + 0.10 * noise(rng, height, width, 5))[..., None]


def night(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A dark sky over a darker skyline, with lights out of focus."""
    x, y = _grid(height, width)
    sky, glow = _color(rng, 0.05, 0.16, 1.2), _color(rng, 0.14, 0.36, 1.2)
    image = _mix(sky, glow, (y / height) ** 2)
    if rng.random() < 0.6:
        roofs = np.repeat(rng.uniform(0.5, 0.95, width // 9 + 1), 9)[:width] * height
        image = _mix(image, 0.4 * sky, step(roofs[None] - y).astype(np.float32))
    for _ in range(rng.integers(6, 22)):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.8, 6)
        lamp = np.array([1, rng.uniform(0.6, 1), rng.uniform(0.3, 1)], dtype=np.float32)
        spot = step(np.hypot(x - cx, y - cy) - r, 2.0)
        image = image + (rng.uniform(0.08, 0.6) / (1 + r / 3)) * spot[..., None] * lamp
    return image


def paper(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Fibrous paper, blank, ruled, squared or written on."""
    x, y = _grid(height, width)
    sheet = np.array([0.90, 0.86, 0.76], dtype=np.float32) * _color(rng, 0.85, 1.05, 0.2)
    grain = 0.05 * noise(rng, height, width, 2) + 0.07 * noise(rng, height, width, 50)
    ink = np.zeros((height, width), dtype=np.float32)
    kind, gap = rng.integers(4), rng.uniform(9, 20)
    if kind in (1, 2):
        ink = np.maximum(ink, step(np.abs(y % gap - gap / 2) - 0.4))
    if kind == 2:
        ink = np.maximum(ink, step(np.abs(x % gap - gap / 2) - 0.4))
    if kind == 3:
        script = noise(rng, height, width, 3.5) + 0.15
        line = step(np.abs(y % gap - gap / 2) - gap / 4)
        ink = np.clip(4 * script, 0, 1) * line
    pen = np.array([0.25, 0.3, 0.5], dtype=np.float32)
    return _mix(sheet * (1 + grain)[..., None], pen, rng.uniform(0.2, 0.6) * ink)


def chalk(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A wiped blackboard."""
    x, y = _grid(height, width)
    board = np.array([0.13, 0.24, 0.20], dtype=np.float32) * _color(rng, 0.8, 1.2, 0.9)
    turn = rng.uniform(0, np.pi)
    across = x * math.cos(turn) + y * math.sin(turn)
    wiped = np.interp(across % 61, np.arange(62), rng.uniform(0, 1, 62)).astype(np.float32)
    dust = 0.10 * wiped * np.clip(0.5 + noise(rng, height, width, 30), 0, 1)
    return board + dust[..., None] + 0.03 * noise(rng, height, width, 2)[..., None]
