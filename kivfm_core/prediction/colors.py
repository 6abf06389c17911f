"""A color for every class, the same in every image."""

from __future__ import annotations

from colorsys import hls_to_rgb

Color = tuple[int, int, int]

# Colors that are told apart at a glance, for the first classes.
_FIRST = (
    "e6194b 3cb44b 4363d8 f58231 42d4f4 f032e6 ffe119 911eb4 469990 bfef45"
    " fabed4 c4802f dcbeff aaffc3 a0a000 ffd8b1 6a8cff d62f9a"
).split()


def color_of(index: int) -> Color:
    """The color of a class.

    Further ones go around the circle of hues by the golden ratio, in three lightnesses.

    Example:
        >>> color_of(0), color_of(1)
        ((230, 25, 75), (60, 180, 75))
    """
    if index < len(_FIRST):
        red, green, blue = bytes.fromhex(_FIRST[index])
        return red, green, blue
    hue, lightness = index * 0.618034 % 1, (0.5, 0.68, 0.42)[index % 3]
    red, green, blue = (round(255 * part) for part in hls_to_rgb(hue, lightness, 0.8))
    return red, green, blue


def ink_on(color: Color) -> str:
    """Black on light colors, white on dark ones."""
    red, green, blue = color
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
