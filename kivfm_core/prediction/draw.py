"""Draws predictions on images, with torchvision's drawing functions and text of a readable size."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from kivfm_core.data.canvas import to_tensor
from kivfm_core.files import write_bytes

# Smaller images are enlarged to this many pixels, so that text of this size fits.
LONG_SIDE, TEXT = 640, 16

# Objects of lower score are left out, unless a user says otherwise.
CONFIDENCE = 0.3

Color = tuple[int, int, int]


def palette(index: int) -> Color:
    """VOC's color of a class: far apart for neighboring indices.

    Example:
        >>> palette(0), palette(1), palette(15)
        ((0, 0, 0), (128, 0, 0), (192, 128, 128))
    """
    color = [0, 0, 0]
    for bit in range(7, -1, -1):
        for channel in range(3):
            color[channel] |= (index >> channel & 1) << bit
        index >>= 3
    return color[0], color[1], color[2]


class Drawing:
    """An image to draw on, enlarged if it is small, so that text fits.

    Args:
        image: RGB uint8 `[3, H, W]`; all that is drawn is given in its pixels.
        threshold: Objects of lower score are left out.
    """

    def __init__(self, image: Tensor, threshold: float = CONFIDENCE) -> None:
        self.threshold = threshold
        self.zoom = max(1, round(LONG_SIDE / max(image.shape[1:])))
        self.image = self._enlarged(image)

    def _enlarged(self, maps: Tensor) -> Tensor:
        return maps.repeat_interleave(self.zoom, -2).repeat_interleave(self.zoom, -1)

    def cover(self, image: Tensor) -> None:
        """Puts another image of the same size over it, such as a map in colors.

        Args:
            image: RGB uint8 `[3, H, W]`.
        """
        self.image = self._enlarged(image)

    def masks(self, masks: Tensor, colors: Sequence[Color]) -> None:
        """Tints masks, bool `[N, H, W]`."""
        if len(masks):
            self.image = draw_segmentation_masks(
                self.image, self._enlarged(masks), alpha=0.5, colors=list(colors)
            )

    def boxes(self, boxes: Tensor, labels: Sequence[str], colors: Sequence[Color]) -> None:
        """Draws boxes `[N, 4]` with their labels."""
        if not len(boxes):
            return
        boxes = boxes * self.zoom
        self.image = draw_bounding_boxes(self.image, boxes, colors=list(colors), width=2)
        corners = [(x, y - TEXT - 4) for x, y, _, _ in boxes.tolist()]
        self.text(labels, corners, colors)

    def points(self, points: Tensor, colors: Sequence[Color]) -> None:
        """Marks points `[N, 2]`."""
        drawn = _to_pil(self.image)
        brush = ImageDraw.Draw(drawn)
        for (x, y), color in zip((points * self.zoom).tolist(), colors, strict=True):
            brush.ellipse((x - 5, y - 5, x + 5, y + 5), fill=color, outline="white", width=2)
        self.image = _to_tensor(drawn)

    def lines(self, lines: Sequence[str], colors: Sequence[Color] | None = None) -> None:
        """Writes lines of text below the image, each beside its color."""
        height = (TEXT + 8) * len(lines) + 8
        self.image = F.pad(self.image, (0, 0, 0, height), value=24)
        top = self.image.shape[1] - height + 4
        corners = [(8.0, float(top + (TEXT + 8) * i)) for i in range(len(lines))]
        self.text(lines, corners, colors or [(24, 24, 24)] * len(lines))

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
        drawn = _to_pil(self.image)
        brush, font = ImageDraw.Draw(drawn), ImageFont.load_default(TEXT)
        for text, (x, y), color in zip(texts, corners, colors, strict=True):
            width = brush.textlength(text, font) + 6
            x = max(0.0, min(x, drawn.width - width))
            y = max(0.0, min(y, drawn.height - TEXT - 4))
            brush.rectangle((x, y, x + width, y + TEXT + 4), fill=color)
            # Black on light plates, white on dark ones.
            ink = "black" if sum(color) > 380 else "white"
            brush.text((x + 3, y + 1), text, fill=ink, font=font)
        self.image = _to_tensor(drawn)

    def save(self, file: Path) -> None:
        """Writes the drawing to a file, whole or not at all; makes its folder if there is none."""
        file.parent.mkdir(parents=True, exist_ok=True)
        kind = Image.registered_extensions().get(file.suffix.lower())
        if kind is None or (file.exists() and not file.is_file()):
            self.to_pil().save(file)  # which says what is wrong; and a device is written to
            return
        drawn = BytesIO()
        self.to_pil().save(drawn, kind)
        write_bytes(file.resolve(), drawn.getvalue())

    def to_pil(self) -> Image.Image:
        """The drawing as it is now."""
        return _to_pil(self.image)


def _to_pil(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def _to_tensor(drawn: Image.Image) -> Tensor:
    return to_tensor(drawn).to(torch.uint8)
