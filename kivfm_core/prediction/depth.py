"""Draws depth: a map in colors, near is warm, with its least, middle and largest value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.wanted import Names
from kivfm_core.predictions import DepthMap

# Coefficients of 1, x, ..., x^5 for red, green and blue: R. Du's polynomial approximation of
# A. Mikhailov's colormap Turbo, https://gist.github.com/mikhailov-work/
# 0d177465a8151eb6ede1768d51d476c7 (Copyright 2019 Google LLC, Apache-2.0).
TURBO = (
    (0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943),
    (0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604),
    (0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973),
)
# What the values of each kind are called in results.
NAMES = {"relative": "inverse_depth", "metric": "meters"}


def turbo(values: Tensor) -> Tensor:
    """Colors of numbers in 0..1: blue, green, yellow, red.

    Args:
        values: `[H, W]`.

    Returns:
        RGB uint8 `[3, H, W]`.
    """
    x = values.clamp(0, 1)
    powers = torch.stack([x**power for power in range(6)])
    colors = torch.einsum("cp,phw->chw", x.new_tensor(TURBO), powers)
    return (255 * colors.clamp(0, 1)).round().to(torch.uint8)


def nearness(found: DepthMap) -> Tensor:
    """A map in 0..1, near is high, `[H, W]`; zero where it is unknown."""
    depth = found.depth.float()
    # Of metric depth the inverse, so that both kinds look alike.
    near = depth if found.kind == "relative" else 1 / depth.clamp(min=1e-3)
    known = near.isfinite()
    if not known.any():
        return torch.zeros_like(near)
    low, high = near[known].min(), near[known].max()
    return ((near - low) / (high - low).clamp(min=1e-12)).nan_to_num(0.0)


def colored(found: DepthMap) -> Tensor:
    """The map in colors, RGB uint8 `[3, H, W]`: near is red, far is blue, unknown is black."""
    # The colors are nearly black at both ends, where they could be taken for unknown.
    return turbo(0.05 + 0.9 * nearness(found)) * found.depth.isfinite()


def summary(found: DepthMap) -> list[dict[str, Any]]:
    """The least, the middle and the largest value of the map, a row each."""
    known = found.depth[found.depth.isfinite()].float()
    if not len(known):
        return []
    values = {"minimum": known.min(), "median": known.median(), "maximum": known.max()}
    return [
        {"label": label, NAMES[found.kind]: round(float(value), 4)}
        for label, value in values.items()
    ]


def draw_depth(
    drawing: Drawing, found: DepthMap, names: Names, points: Any
) -> list[dict[str, Any]]:
    """Draws the map in place of the image, its values below.

    Args:
        drawing: The image's drawing.
        found: The image's depth.
        names: Unused: depth has no classes.
        points: Unused: the task takes no clicks.

    Returns:
        A row each for the least, the middle and the largest value.
    """
    rows = summary(found)
    drawing.cover(colored(found))
    name = NAMES[found.kind]
    drawing.lines([f"{row['label']} {row[name]:g} {name.replace('_', ' ')}" for row in rows])
    return rows
