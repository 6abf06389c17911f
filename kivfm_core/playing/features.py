"""Dense features of one image as colors, a teacher's and its stand-in's by one projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.prediction.feature_colors import feature_colors
from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_core.teacher import Encoder, Teacher

# The long side of an image of features in pixels.
LONG = 480


def teacher_level(spec: TeacherSpec) -> str | None:
    """Name of the dense level that is shown of a teacher: the finest, of several the deepest."""
    side = spec.input.size
    dense = [level for level in reversed(spec.levels) if level.kind == "dense"]
    return max(dense, key=lambda level: level.grid((side, side))).name if dense else None


def as_colors(
    image: Image.Image, encoders: Sequence[Encoder | Teacher], level: str
) -> list[tuple[Image.Image, str]]:
    """A level of several encoders, in colors that can be compared.

    Args:
        image: What they look at.
        encoders: They give the level with the same channels.
        level: Its name.

    Returns:
        For each an image in the given one's shape, and what it shows in words.
    """
    maps = [_map(image, one, level) for one in encoders]
    scale = LONG / max(image.size)
    size = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    return [
        (
            Image.fromarray(colors).resize(size, Image.Resampling.NEAREST),
            f"{level}: {one.shape[2]} x {one.shape[1]} cells, {one.shape[0]} channels",
        )
        for one, colors in zip(maps, feature_colors(maps), strict=True)
    ]


def _map(image: Image.Image, encoder: Encoder | Teacher, level: str) -> Any:
    """The cells `[C, h, w]` of a level that show the image, without those of padding alone."""
    contract: InputContract = encoder.spec.input
    levels = encoder.encode(*make_canvases([to_tensor(image)], contract))
    found, frame = levels[level][0].detach().float().cpu(), levels.frames[0]
    (rows, columns), (height, width) = found.shape[1:], frame.canvas
    x0, y0, x1, y1 = frame.content
    left, right = x0 * columns // width, -(-x1 * columns // width)
    top, bottom = y0 * rows // height, -(-y1 * rows // height)
    return found[:, top:bottom, left:right]
