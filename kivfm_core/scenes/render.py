"""Draw a scene, as a function of a seed, an index and a domain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kivfm_core.scenes.backgrounds import Pixels
from kivfm_core.scenes.paint import Placement, paint
from kivfm_core.scenes.styles import STYLES, Style
from kivfm_core.scenes.surfaces import noise
from kivfm_core.scenes.vocabulary import CATEGORIES, COLORS, TEXTURES, caption, describe

# Widths and heights of the images.
SIZES = ((160, 120), (120, 160), (144, 144), (168, 128), (128, 160))

# Index of ignored pixels in a semantic map.
VOID = 255

_SMALLEST = 40  # visible pixels below which an object is void


@dataclass(frozen=True)
class SceneObject:
    """One visible object.

    Attributes:
        category: One of `CATEGORIES`.
        color: One of `COLORS`.
        texture: One of `TEXTURES`.
        box: Tight box (x0, y0, x1, y1) around the visible part, in pixels.
        mask: The visible part, [H, W] of bool.
    """

    category: str
    color: str
    texture: str
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """The object in plain words, such as "red striped star"."""
        return describe(self.category, self.color, self.texture)


@dataclass(frozen=True)
class Scene:
    """An image and all of its labels.

    Attributes:
        image: RGB, [H, W, 3] of uint8.
        objects: Visible objects, largest first.
        semantic: 0 = background, k = `CATEGORIES[k - 1]`, 255 = void, [H, W] of uint8.
        caption: One sentence.
        domain: Style that it is drawn in, a key of `STYLES`.
    """

    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    semantic: NDArray[np.uint8]
    caption: str
    domain: str


def render(seed: int, index: int, domain: str) -> Scene:
    """Draw one scene of one to seven objects.

    Args:
        seed: Seed of the whole set.
        index: Number of the image within the set.
        domain: A key of `STYLES`.

    Returns:
        The same scene for the same arguments, always and everywhere.
    """
    rng = np.random.default_rng((seed, index, tuple(STYLES).index(domain)))
    width, height = SIZES[rng.integers(len(SIZES))]
    count = int(rng.choice(7, p=(0.22, 0.14, 0.16, 0.16, 0.14, 0.10, 0.08))) + 1
    words = [
        (str(rng.choice(CATEGORIES)), str(rng.choice(tuple(COLORS))), str(rng.choice(TEXTURES)))
        for _ in range(count)
    ]
    return _compose(rng, domain, width, height, words)


def render_object(seed: int, index: int, domain: str, words: tuple[str, str, str]) -> Scene:
    """Draw a scene of one given object.

    Args:
        seed: Seed of the whole set.
        index: Number of the image within the set.
        domain: A key of `STYLES`.
        words: The object's category, color and texture.

    Returns:
        The same scene for the same arguments.
    """
    rng = np.random.default_rng((seed, index, tuple(STYLES).index(domain), 1))
    width, height = SIZES[rng.integers(len(SIZES))]
    return _compose(rng, domain, width, height, [words])


def _compose(
    rng: np.random.Generator,
    domain: str,
    width: int,
    height: int,
    words: list[tuple[str, str, str]],
) -> Scene:
    style = STYLES[domain]
    image = style.background(rng, height, width).astype(np.float32)
    owner = np.zeros((height, width), dtype=np.uint8)
    light = float(rng.uniform(0, 2 * np.pi))
    placements = _place(rng, width, height, words)
    for number, placement in enumerate(placements, 1):
        paint(rng, style, image, owner, number, placement, light)
    objects, semantic = _annotate(owner, placements)
    names = [item.name for item in objects]
    pixels = _finish(rng, style, image)
    return Scene(pixels, objects, semantic, caption(domain, names), domain)


def _place(
    rng: np.random.Generator, width: int, height: int, words: list[tuple[str, str, str]]
) -> list[Placement]:
    """Put objects where they overlap only a little; objects that do not fit are left out."""
    placed: list[Placement] = []
    short = min(width, height)
    for category, color, texture in words:
        largest = 0.40 if len(words) == 1 else 0.34 - 0.025 * len(words)
        for _ in range(12):
            radius = short * float(rng.uniform(0.13 if len(words) > 1 else 0.2, largest))
            x = float(rng.uniform(0.7 * radius, width - 0.7 * radius))
            y = float(rng.uniform(0.7 * radius, height - 0.7 * radius))
            if all(np.hypot(x - p.x, y - p.y) > 0.72 * (radius + p.radius) for p in placed):
                turn = float(rng.uniform(-0.5, 0.5))
                placed.append(Placement(category, color, texture, x, y, radius, turn))
                break
    return placed


def _annotate(
    owner: NDArray[np.uint8], placements: list[Placement]
) -> tuple[tuple[SceneObject, ...], NDArray[np.uint8]]:
    semantic = np.zeros_like(owner)
    objects: list[SceneObject] = []
    for number, placement in enumerate(placements, 1):
        mask = owner == number
        if mask.sum() < _SMALLEST:
            semantic[mask] = VOID
            continue
        semantic[mask] = CATEGORIES.index(placement.category) + 1
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        objects.append(
            SceneObject(placement.category, placement.color, placement.texture, box, mask)
        )
    objects.sort(key=lambda item: -int(item.mask.sum()))
    return tuple(objects), semantic


def _finish(rng: np.random.Generator, style: Style, image: Pixels) -> NDArray[np.uint8]:
    height, width, _ = image.shape
    if style.vignette:
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None]
        image = image * (1 - style.vignette * (x * x + y * y) / 2)[..., None]
    if style.tint:
        image = image * (1 + rng.uniform(-style.tint, style.tint, 3).astype(np.float32))
    if style.noise:
        image = image + style.noise * rng.standard_normal(image.shape, dtype=np.float32)
        image = image + style.noise * noise(rng, height, width, 3)[..., None]
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
