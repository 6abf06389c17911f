"""Draws predictions on images: masks, boxes and labels that do not hide each other.

Sizes follow the image's, so that a large photo shown small can be read. All is drawn at the image's
own resolution; only images too small for text are enlarged, by a whole factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor

from kivfm_core.data.canvas import to_tensor
from kivfm_core.errors import UsageError, printable
from kivfm_core.files import write_chunks
from kivfm_core.prediction.colors import Color, ink_on
from kivfm_core.prediction.wanted import CONFIDENCE, Wanted

# Smaller images are enlarged to about this many pixels, and text of this size is drawn on them.
LONG_SIDE, TEXT = 640, 16
# Of a mask's color; the rest is the image.
OPACITY = 0.45
# Below and beside the image.
PAPER: Color = (24, 24, 24)

# (left, top, right, bottom) in pixels of the drawing.
Rectangle = tuple[float, float, float, float]


class Drawing:
    """An image to draw on.

    Args:
        image: RGB uint8 `[3, H, W]`; all that is drawn is given in its pixels.
        threshold: Objects of lower score are left out.
        wanted: What of a prediction is kept, in place of the threshold.
    """

    def __init__(
        self, image: Tensor, threshold: float = CONFIDENCE, wanted: Wanted | None = None
    ) -> None:
        self.wanted = wanted or Wanted(threshold)
        self.threshold = self.wanted.threshold
        self.zoom = max(1, round(LONG_SIDE / max(image.shape[1:])))
        self.canvas = self._enlarged(image)
        # Where text is, so that other text goes elsewhere.
        self.taken: list[Rectangle] = []

    def _enlarged(self, image: Tensor) -> Image.Image:
        pixels = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        size = pixels.width * self.zoom, pixels.height * self.zoom
        return pixels if self.zoom == 1 else pixels.resize(size, Image.Resampling.NEAREST)

    @cached_property
    def text_size(self) -> int:
        """The height of text in pixels; it grows more slowly than the image."""
        return max(14, round(TEXT * (max(self.canvas.size) / LONG_SIDE) ** 0.75))

    @cached_property
    def line(self) -> int:
        """The width of lines in pixels."""
        return max(2, round(self.text_size / 7))

    @cached_property
    def _font(self) -> Any:
        return ImageFont.load_default(self.text_size)

    @property
    def _row(self) -> int:
        """The height of a plate with text."""
        return round(1.35 * self.text_size)

    def cover(self, image: Tensor) -> None:
        """Puts another image of the same size over it, such as a map in colors.

        Args:
            image: RGB uint8 `[3, H, W]`.
        """
        self.canvas = self._enlarged(image)

    def masks(self, masks: Tensor, colors: Sequence[Color], outlined: bool = True) -> None:
        """Tints masks, bool `[N, H, W]`, and draws their outlines."""
        pixels = np.array(self.canvas)
        for mask, color in zip(masks.numpy(), colors, strict=True):
            rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
            if not len(rows):
                continue
            ys, xs = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            inside = mask[ys, xs].repeat(self.zoom, 0).repeat(self.zoom, 1)
            y, x = ys.start * self.zoom, xs.start * self.zoom
            part = pixels[y : y + inside.shape[0], x : x + inside.shape[1]]
            part[inside] = (part[inside] * (1 - OPACITY) + np.array(color) * OPACITY).round()
            if outlined:
                part[_edge(inside, self.line)] = color
        self.canvas = Image.fromarray(pixels)

    def boxes(self, boxes: Tensor, labels: Sequence[str], colors: Sequence[Color]) -> list[int]:
        """Draws boxes `[N, 4]` with their labels, the last on top.

        A label goes where it hides no other: above its box, inside, or below.

        Returns:
            Those of the boxes that no place was found for their label.
        """
        brush, corners = ImageDraw.Draw(self.canvas), (boxes * self.zoom).tolist()
        for (x0, y0, x1, y1), color in zip(corners, colors, strict=True):
            box = x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)
            # A thin dark line around it, so that it shows on ground of its own color.
            brush.rectangle((x0 - 1, y0 - 1, box[2] + 1, box[3] + 1), outline=PAPER)
            brush.rectangle(box, outline=color, width=self.line)
        left = []
        for i in range(len(labels) - 1, -1, -1):
            width = self._width(brush, labels[i])
            place = self._free(self._around(corners[i], width), width)
            if place is None:
                left.append(i)
            else:
                self._plate(brush, labels[i], place, colors[i])
        return left[::-1]

    def _around(self, box: Rectangle, width: float) -> Iterator[tuple[float, float]]:
        """Top left corners for a label of a box, the best first."""
        (x0, y0, x1, y1), row = box, self._row
        sides = [x0, x1 - width] if x1 - x0 > width else [x0]
        yield from ((x, y0 - row) for x in sides)
        yield from ((x, y) for x in sides for y in (y0, y1, y1 - row))
        yield from ((x0, y) for y in np.arange(y0 + row, y1 - row, row).tolist())
        yield from ((x, y0 - row) for x in np.arange(x0, x1, width).tolist())
        yield (x1, y0)
        yield (x0 - width, y0)

    def _free(self, places: Iterator[tuple[float, float]], width: float) -> Rectangle | None:
        """The first place, moved into the image, where no text is."""
        for x, y in places:
            x = max(0.0, min(x, self.canvas.width - width))
            y = max(0.0, min(y, self.canvas.height - self._row))
            place = x, y, x + width, y + self._row
            if not any(_overlap(place, other) for other in self.taken):
                return place
        return None

    def points(self, points: Tensor, colors: Sequence[Color]) -> None:
        """Marks points `[N, 2]`."""
        brush, r = ImageDraw.Draw(self.canvas), 2 * self.line + 1
        for (x, y), color in zip((points * self.zoom).tolist(), colors, strict=True):
            around = (x - r, y - r, x + r, y + r)
            brush.ellipse(around, fill=color, outline="white", width=self.line)

    def lines(self, lines: Sequence[str], colors: Sequence[Color] | None = None) -> None:
        """Writes lines of text below the image, each on a plate of its color."""
        top = self._below(len(lines))
        corners = [(float(self._row / 3), float(top + self._row * i)) for i in range(len(lines))]
        self.text(lines, corners, colors or [PAPER] * len(lines))

    def bars(self, names: Sequence[str], shares: Sequence[float], colors: Sequence[Color]) -> None:
        """Writes names below the image, each with its share in percent and as a bar."""
        top, row, brush = self._below(len(names)), self._row, ImageDraw.Draw(self.canvas)
        left, number = row / 3, brush.textlength("100.0 %  ", self._font)
        whole = self.canvas.width - 2 * left - number
        for i, (name, share, color) in enumerate(zip(names, shares, colors, strict=True)):
            y, x = top + i * row, left + number
            bar = (x, y + 1, x + max(2.0, whole * share), y + row - 3)
            brush.rectangle(bar, fill=color)
            brush.text((x - number, y), f"{share:6.1%}", fill="white", font=self._font)
            self._on_bar(brush, name, bar, color)

    def _on_bar(self, brush: Any, name: str, bar: Rectangle, color: Color) -> None:
        """A name in its bar, or behind it where the bar is too short."""
        fits = bar[2] - bar[0] > brush.textlength(name, self._font) + 8
        at = (bar[0] + 4, bar[1] - 1) if fits else (bar[2] + 4, bar[1] - 1)
        brush.text(at, name, fill=ink_on(color) if fits else "white", font=self._font)

    def legend(self, names: Sequence[str], colors: Sequence[Color]) -> None:
        """Names classes below the image, each beside its color, as many in a row as fit."""
        brush, row = ImageDraw.Draw(self.canvas), self._row
        places, x, y = list[tuple[float, int]](), row / 3, 0
        for name in names:
            width = brush.textlength(name, self._font) + 1.8 * row
            if places and x + width > self.canvas.width:
                x, y = row / 3, y + 1
            places.append((x, y))
            x += width
        top = self._below(y + 1)
        brush = ImageDraw.Draw(self.canvas)
        for name, (x, y), color in zip(names, places, colors, strict=True):
            chip = (x, top + row * y + row * 0.15, x + row * 0.7, top + row * y + row * 0.85)
            brush.rectangle(chip, fill=color)
            brush.text((x + row, top + row * y), name, fill="white", font=self._font)

    def text(
        self,
        texts: Sequence[str],
        corners: Sequence[tuple[float, float]],
        colors: Sequence[Color],
    ) -> None:
        """Writes texts on colored plates.

        Args:
            texts: The texts.
            corners: The top left corner `(x, y)` of each plate; a plate that would leave the image
                is moved inside.
            colors: The color of each plate.
        """
        brush = ImageDraw.Draw(self.canvas)
        for text, (x, y), color in zip(texts, corners, colors, strict=True):
            width = self._width(brush, text)
            x = max(0.0, min(x, self.canvas.width - width))
            y = max(0.0, min(y, self.canvas.height - self._row))
            self._plate(brush, text, (x, y, x + width, y + self._row), color)

    def _width(self, brush: Any, text: str) -> float:
        return brush.textlength(text, self._font) + 0.5 * self.text_size

    def _plate(self, brush: Any, text: str, place: Rectangle, color: Color) -> None:
        brush.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=color)
        at = (place[0] + 0.25 * self.text_size, place[1] + 0.06 * self.text_size)
        brush.text(at, text, fill=ink_on(color), font=self._font)
        self.taken.append(place)

    def _below(self, rows: int) -> int:
        """Adds room for rows of text below the image; where it begins."""
        width, height = self.canvas.size
        margin = self._row // 3
        grown = Image.new("RGB", (width, height + self._row * rows + 2 * margin), PAPER)
        grown.paste(self.canvas)
        self.canvas = grown
        return height + margin

    def save(self, file: Path) -> None:
        """Writes the drawing to a file, whole or not at all; makes its folder if there is none."""
        file.parent.mkdir(parents=True, exist_ok=True)
        kind = _kind(file)
        if kind is None or (file.exists() and not file.is_file()):
            self.canvas.save(file, kind)  # a device is written to
            return
        content = BytesIO()
        self.canvas.save(content, kind, **({"quality": 92} if kind in ("JPEG", "WEBP") else {}))
        write_chunks(file.resolve(), (content.getvalue(),), sync=False)

    @property
    def image(self) -> Tensor:
        """The drawing as it is now, RGB uint8 `[3, H, W]`."""
        return to_tensor(self.canvas)

    def to_pil(self) -> Image.Image:
        """The drawing as it is now."""
        return self.canvas


def check_drawable(file: Path) -> None:
    """Refuses a file whose name does not say how an image is written.

    Raises:
        UsageError: If it ends in something else, or is a folder.
    """
    if file.is_dir() or (_kind(file) is None and not file.is_char_device()):
        name = file / "result.png" if file.is_dir() else file.with_suffix(".png")
        raise UsageError(f"{printable(file)} is no name of an image", f"-o {quote(str(name))}")


def _kind(file: Path) -> str | None:
    """Pillow's name of the format that a file's name ends in, if Pillow writes it."""
    kind = Image.registered_extensions().get(file.suffix.lower())
    return kind if kind in Image.SAVE else None


def _edge(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of a mask `[H, W]` that are at most so far from its edge."""
    padded = Image.fromarray(np.pad(mask, width).astype(np.uint8) * 255)
    for _ in range(width):
        padded = padded.filter(ImageFilter.MinFilter(3))
    return mask & (np.asarray(padded)[width:-width, width:-width] == 0)


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
