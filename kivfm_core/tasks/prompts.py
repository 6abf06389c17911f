"""From what a user gives to what a decoder's `prompt` takes: one function a kind of prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from kivfm_core.geometry import Frame


def class_names(given: Mapping[str, Any], frames: Sequence[Frame]) -> dict[str, Any]:
    """`labels`: the class names, the same for every image."""
    return {"labels": list(given["labels"])}


def clicks(given: Mapping[str, Any], frames: Sequence[Frame]) -> dict[str, Any]:
    """`points`: an image each, the clicks `[P, 2]` (x, y) in canvas pixels."""
    return {
        "points": [
            torch.tensor([frame.to_canvas(x, y) for x, y in given["points"]]) for frame in frames
        ]
    }
