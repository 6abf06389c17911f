"""Draws prompts: clicks, those on what is not meant, and boxes."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageDraw

from kivfm_core.geometry import MaskPrompt
from kivfm_core.prediction.colors import Color
from kivfm_core.prediction.draw import Drawing

# Of a mark, and of what is crossed out in it, in pixels of the drawing.
RADIUS, CROSS = 5, 3


def draw_prompts(drawing: Drawing, prompts: Sequence[MaskPrompt], colors: Sequence[Color]) -> None:
    """Marks prompts: positive clicks as dots, negative ones as crosses, boxes as frames.

    Args:
        drawing: Of the image.
        prompts: In the image's pixels.
        colors: The color of each prompt.
    """
    brush, zoom = ImageDraw.Draw(drawing.canvas), drawing.zoom
    for prompt, color in zip(prompts, colors, strict=True):
        if prompt.box is not None:
            x0, y0, x1, y1 = (value * zoom for value in prompt.box)
            brush.rectangle((x0, y0, x1, y1), outline="white", width=4)
            brush.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=color, width=2)
        for click in prompt.clicks:
            _mark(brush, click.x * zoom, click.y * zoom, color if click.positive else None)


def _mark(brush: ImageDraw.ImageDraw, x: float, y: float, color: Color | None) -> None:
    """A dot of a color; without one, a red cross."""
    circle = (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
    brush.ellipse(circle, fill=color or "white", outline="white", width=2)
    if color is None:
        brush.line((x - CROSS, y - CROSS, x + CROSS, y + CROSS), fill="red", width=2)
        brush.line((x - CROSS, y + CROSS, x + CROSS, y - CROSS), fill="red", width=2)
