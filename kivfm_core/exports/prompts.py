"""Prompts as tensors beside the canvas: examples, for tracing and for the check."""

from __future__ import annotations

import torch
from torch import Tensor

from kivfm_core.geometry import Size

POSITIVE, NEGATIVE, LOW, HIGH, NOTHING = 1, 0, 2, 3, -1


def clicks(images: int, number: int, size: Size) -> dict[str, Tensor]:
    """Clicks and boxes by turns, the same in every image.

    Args:
        images: How many.
        number: Prompts of each, and one less than the clicks of each prompt.
        size: Height and width of the canvases.

    Returns:
        `points [B, P, N, 2]`, (x, y) in canvas pixels, and what each is, `labels [B, P, N]`: 1 a
        positive click, 0 a negative one, 2 and 3 a box's upper left and lower right corner, -1
        nothing.
    """
    h, w = size
    random = torch.Generator().manual_seed(number)
    shares = 0.1 + 0.8 * torch.rand(number, number + 1, 2, generator=random)
    labels = torch.full((number, number + 1), NEGATIVE)
    labels[:, 0], labels[:, 1] = POSITIVE, NOTHING
    labels[1::2, :2] = torch.tensor([LOW, HIGH])
    shares[1::2, :2] = torch.tensor([[0.2, 0.3], [0.7, 0.8]])
    points = shares * torch.tensor([w, h])
    return {
        "points": points.repeat(images, 1, 1, 1),
        "labels": labels.float().repeat(images, 1, 1),
    }
