"""Makes canvases: from the pixels of an image to the tensor that an encoder gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from kivfm_core.data.resize import resize, resize_part
from kivfm_core.geometry import Box, Frame, Size, View, plan_frame, plan_view
from kivfm_core.spec import InputContract, Triple


def to_tensor(image: Image.Image) -> Tensor:
    """An image as RGB uint8 `[3, H, W]`."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


# A resized image of more canvases than this is computed only where it shows: under a crop, one of
# 1 x 2000 pixels would take a gigabyte. Others are resized whole, as the original models do it.
HUGE = 16
Look = tuple[str, bool, Triple]


def look(contract: InputContract) -> Look:
    """The part of a contract that `render` uses: if it is equal, so are canvases of one size."""
    return contract.interpolation, contract.antialias, contract.pad_value


def render(image: Tensor, frame: Frame, contract: InputContract) -> Tensor:
    """Makes one canvas.

    Args:
        image: RGB uint8 `[3, H, W]`.
        frame: Where every pixel of the canvas comes from.
        contract: Interpolation, antialias and pad value.

    Returns:
        RGB float32 `[3, h, w]` in [0, 1]; not normalized.
    """
    x0, y0, x1, y1 = frame.source
    (ox, oy), (h, w), (ch, cw) = frame.origin, frame.resized, frame.canvas
    top, left, bottom, right = max(oy, 0), max(ox, 0), min(oy + h, ch), min(ox + w, cw)
    shown = left - ox, top - oy, right - ox, bottom - oy  # of the resized image
    content = _resize(image[:, y0:y1, x0:x1], frame, contract, shown)
    canvas = torch.tensor(contract.pad_value).view(3, 1, 1).repeat(1, ch, cw)
    canvas[:, top:bottom, left:right] = content
    return canvas.flip(-1) if frame.flip else canvas


def _resize(content: Tensor, frame: Frame, contract: InputContract, shown: Box) -> Tensor:
    """The part of the resized image that shows on the canvas, in [0, 1]."""
    (h, w), (ch, cw), (x0, y0, x1, y1) = frame.resized, frame.canvas, shown
    kind, antialias = contract.interpolation, contract.antialias
    if h * w > HUGE * ch * cw:
        return (resize_part(content, (h, w), shown, kind, antialias) / 255).clamp_(0, 1)
    content = content.float() / 255
    if content.shape[1:] != (h, w):
        content = resize(content, (h, w), kind, antialias).clamp_(0, 1)
    return content[:, y0:y1, x0:x1]


def render_views(
    images: Sequence[tuple[Tensor, View]], contract: InputContract, side: int
) -> tuple[Tensor, Frame]:
    """Makes the square canvas of one view, or of four, a quarter each (mosaic, YOLOv4).

    Args:
        images: Each RGB uint8 `[3, H, W]`, with the view of it that is shown.
        contract: Interpolation, antialias and pad value.
        side: Of the canvas, in pixels.

    Returns:
        RGB float32 `[3, side, side]` in [0, 1], and its frame. The frame of a mosaic is that of an
        image which fills the canvas.
    """
    # With an odd side, the tiles on the right and at the bottom lose a row or column of pixels.
    # With an odd side, the tiles on the right and at the bottom lose a row or column of pixels.
    half = side if len(images) == 1 else side - side // 2
    frames = [plan_view((x.shape[1], x.shape[2]), view, half) for x, view in images]
    tiles = [render(x, f, contract) for (x, _), f in zip(images, frames, strict=True)]
    if len(tiles) == 1:
        return tiles[0], frames[0]
    rest, square = side - half, (side, side)
    canvas = torch.empty(3, side, side)
    for place, tile in enumerate(tiles):
        y, x = (half * (place // 2), half * (place % 2))
        h, w = (rest if at else half for at in (y, x))
        canvas[:, y : y + h, x : x + w] = tile[:, :h, :w]
    return canvas, Frame(square, (0, 0, side, side), square, (0, 0), square)


def make_canvases(images: Sequence[Tensor], contract: InputContract) -> tuple[Tensor, list[Frame]]:
    """Makes the canvases of whole images, for evaluation and prediction.

    Args:
        images: RGB uint8 `[3, H, W]` each; under `short-side` they must share a canvas size.
        contract: The encoder's input contract.

    Returns:
        Canvases `[B, 3, h, w]` and their frames.
    """
    frames = [plan_frame((x.shape[1], x.shape[2]), contract) for x in images]
    canvases = [render(x, f, contract) for x, f in zip(images, frames, strict=True)]
    return torch.stack(canvases), frames


def repad(canvases: Tensor, frames: Sequence[Frame], value: Triple) -> Tensor:
    """Paints the padding of the first `len(frames)` canvases `[B, 3, H, W]` in another color."""
    if not frames:  # an export has none, and leaves the batch's size open
        return canvases
    out = canvases.clone()
    for canvas, frame in zip(out, frames, strict=False):
        x0, y0, x1, y1 = frame.content
        inside = canvas[:, y0:y1, x0:x1].clone()
        canvas.copy_(canvas.new_tensor(value).view(3, 1, 1).expand_as(canvas))
        canvas[:, y0:y1, x0:x1] = inside
    return out


def rescale(canvases: Tensor, size: Size) -> Tensor:
    """Resizes canvases `[B, 3, H, W]` in [0, 1] to `size`, `(h, w)`."""
    if canvases.shape[-2:] == size:
        return canvases
    return resize(canvases, size, "bicubic", True).clamp(0, 1)


def normalize(canvases: Tensor, contract: InputContract) -> Tensor:
    """Normalizes canvases `[B, 3, H, W]` in [0, 1] as the contract declares: order, mean, std."""
    x = canvases.flip(1) if contract.channel_order == "BGR" else canvases
    mean = x.new_tensor(contract.mean).view(3, 1, 1)
    std = x.new_tensor(contract.std).view(3, 1, 1)
    return (x * contract.scale - mean) / std
