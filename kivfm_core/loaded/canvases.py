"""Batches of canvases: images of equal canvas size together, never many of them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kivfm_core.data.canvas import render
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.spec import InputContract

# Canvas pixels in a batch and canvases in it, at most: larger batches are no faster on two cores.
PIXELS, LARGEST = 2**21, 32
# Canvases that wait for others of their size, at most.
WAITING = 64


@dataclass(frozen=True)
class Canvas:
    """One image on its canvas.

    Attributes:
        index: Which of the images it is.
        pixels: RGB in [0, 1], `[3, h, w]`.
        frame: Where the pixels come from.
    """

    index: int
    pixels: Tensor
    frame: Frame


@dataclass(frozen=True)
class Batch:
    """Canvases of equal size.

    Attributes:
        indices: Which of the images these are.
        images: RGB in [0, 1], `[B, 3, h, w]`.
        frames: The canvases' frames.
    """

    indices: list[int]
    images: Tensor
    frames: list[Frame]


def make_canvas(index: int, pixels: Tensor, contract: InputContract) -> Canvas:
    """The canvas of an image, RGB uint8 `[3, H, W]`."""
    frame = plan_frame((pixels.shape[1], pixels.shape[2]), contract)
    return Canvas(index, render(pixels, frame, contract), frame)


def batched(canvases: Iterable[Canvas]) -> Iterator[Batch]:
    """Batches of canvases. Those of one size keep their order."""
    waiting: dict[tuple[int, int], list[Canvas]] = {}
    for canvas in canvases:
        size = canvas.frame.canvas
        group = waiting.setdefault(size, [])
        group.append(canvas)
        if len(group) >= max(1, min(LARGEST, PIXELS // (size[0] * size[1]))):
            yield _batch(waiting.pop(size))
        elif sum(map(len, waiting.values())) >= WAITING:
            yield _batch(waiting.pop(max(waiting, key=lambda size: len(waiting[size]))))
    for group in waiting.values():
        yield _batch(group)


def _batch(group: list[Canvas]) -> Batch:
    images = torch.stack([canvas.pixels for canvas in group])
    return Batch([canvas.index for canvas in group], images, [canvas.frame for canvas in group])
