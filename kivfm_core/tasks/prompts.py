"""From what a user gives to what a decoder's `prompt` takes: one function a kind of prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Click, Frame, MaskPrompt


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


def mask_prompts(given: Mapping[str, Any], frames: Sequence[Frame]) -> dict[str, Any]:
    """`prompts`: an image each, its prompts in canvas pixels.

    `points` where every prompt is one positive click: decoders that know nothing else take them.
    """
    prompts = [[prompt.to_canvas(frame) for prompt in given["prompts"]] for frame in frames]
    points = as_points(prompts)
    return {"prompts": prompts} if points is None else {"points": points}


def as_points(prompts: Sequence[Sequence[MaskPrompt]]) -> list[Tensor] | None:
    """The clicks `[P, 2]` of each image; None unless every prompt is a single click."""
    clicks = [[prompt.single for prompt in image] for image in prompts]
    if any(click is None for image in clicks for click in image):
        return None
    return [
        torch.tensor([(click.x, click.y) for click in image if click]).reshape(-1, 2)
        for image in clicks
    ]


def fitted(prompt: Callable[..., Any], raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Arguments for a decoder's `prompt`, in the form that it has a parameter for.

    `points` (clicks `[P, 2]` an image, a mask for each) and `prompts` (`MaskPrompt`s, an image
    each) say the same where every prompt is one click. Decoders may take either.

    Args:
        prompt: The decoder's method.
        raw: What it is called with.
        name: Whose decoder.

    Raises:
        UsageError: If it takes single clicks, and there is more; or no templates, and there are.
    """
    takes, given = signature(prompt).parameters, dict(raw)
    if "templates" in given and "templates" not in takes:
        raise UsageError(f"{name} puts class names into sentences of its own", "leave them to it")
    if "points" in given and "points" not in takes and "prompts" in takes:
        given["prompts"] = [_as_prompts(clicks) for clicks in given.pop("points")]
    elif "prompts" in given and "prompts" not in takes and "points" in takes:
        points = as_points(given.pop("prompts"))
        if points is None:
            raise UsageError(
                f"{name} takes one click for a mask: none outside, not several, and no box",
                "--points X,Y, once for each mask",
            )
        given["points"] = points
    return given


def _as_prompts(clicks: Any) -> list[MaskPrompt]:
    places = torch.as_tensor(clicks, dtype=torch.float32).reshape(-1, 2)
    return [MaskPrompt((Click(x, y),)) for x, y in places.tolist()]
