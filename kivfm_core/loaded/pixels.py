"""Whatever holds an image in Python, as the pixels that canvases are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.data.modes import to_upright_rgb
from kivfm_core.errors import DataError, UsageError

# A file, a PIL image, an array `[H, W, 3]` or `[H, W]`, a tensor `[3, H, W]` or `[1, H, W]`.
ImageLike = str | Path | Image.Image | NDArray[Any] | Tensor
# One image or several; an array or tensor of four dimensions is a batch.
Images = ImageLike | Sequence[ImageLike]


def as_list(images: Images) -> list[ImageLike]:
    """The images of a call, one by one.

    Raises:
        UsageError: If there is none.
    """
    if isinstance(images, str | Path | Image.Image):
        return [images]
    if isinstance(images, np.ndarray | Tensor) and images.ndim < 4:
        return [images]
    if not isinstance(images, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        return [images]  # no image: `read_pixels` says so
    found = list(images)
    if not found:
        raise UsageError("no image was given", 'm.features("photo.jpg")')
    return found


def read_pixels(image: ImageLike) -> Tensor:
    """An image as RGB uint8 `[3, H, W]`, upright.

    Args:
        image: Floats are in [0, 1], and rounded to 8 bits; gray becomes RGB, and an alpha channel
            is left out.

    Raises:
        DataError: If a file or PIL image cannot be decoded.
        UsageError: If it is no image, or its floats are not in [0, 1].
    """
    if isinstance(image, str | Path):
        return to_tensor(open_image(Path(image)))
    if isinstance(image, Image.Image):
        try:
            return to_tensor(to_upright_rgb(image))
        except (ValueError, OSError) as error:
            raise DataError(f"cannot decode an image: {error}") from error
    if isinstance(image, Tensor):
        return _as_bytes(_as_rgb(image.detach().cpu(), image.shape))
    if not isinstance(image, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(
            f"{type(image).__name__} is no image", "a file, a PIL image, an array or a tensor"
        )
    pixels = torch.from_numpy(np.array(image))  # a copy: torch writes on no read-only array
    whole = pixels[..., None] if pixels.ndim == 2 else pixels
    return _as_bytes(_as_rgb(whole.movedim(-1, 0), image.shape))


def _as_rgb(pixels: Tensor, shape: Sequence[int]) -> Tensor:
    """Three channels, from one, three or four; `shape` is as it was given."""
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or len(pixels) not in (1, 3, 4) or not pixels.numel():
        raise UsageError(
            f"an array of shape {tuple(shape)} is no image",
            "arrays are [H, W, 3] or [N, H, W, 3], tensors [3, H, W] or [N, 3, H, W]",
        )
    return pixels[:3].expand(3, -1, -1)


def _as_bytes(pixels: Tensor) -> Tensor:
    if pixels.dtype == torch.uint8:
        return pixels.contiguous()
    if not pixels.is_floating_point():
        raise UsageError(f"pixels of type {pixels.dtype} have no known range", "uint8, or floats")
    least, most = pixels.aminmax()
    # Not a number is in no range, either.
    if not (least >= 0 and most <= 1):
        raise UsageError(
            f"pixels are in [{float(least):.3g}, {float(most):.3g}], not in [0, 1]",
            "divide them by 255; canvases that are normalized are for m.module",
        )
    return (pixels * 255).round().to(torch.uint8).contiguous()
