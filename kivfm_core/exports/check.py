"""An export beside its model: on images that differ, both give the same, and not one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kivfm_core.errors import KivfmError
from kivfm_core.exports.program import Program
from kivfm_core.scenes.render import render
from kivfm_core.scenes.vocabulary import DOMAINS

Arrays = dict[str, np.ndarray[Any, Any]]

# Sides of the images, in pixels, wide and high ones among them; three images of each.
SIDES = ((96, 128), (240, 200), (480, 640))
# The largest error allowed, as a part of an output's largest value. Of eight bits a single value
# says little: the task's score does.
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 1e-1, "int8": 1.0}


def check_images() -> list[Tensor]:
    """Nine drawn scenes of three sizes, RGB uint8 `[3, H, W]`, for those who give no images."""
    images: list[Tensor] = []
    for index in range(3 * len(SIDES)):
        scene = torch.from_numpy(render(7, index, DOMAINS[index % len(DOMAINS)]).image.copy())
        h, w = SIDES[index % len(SIDES)]
        pixels = scene.permute(2, 0, 1)[None].float()
        sized = torch.nn.functional.interpolate(pixels, (h, w), mode="bilinear")
        images.append(sized[0].round().to(torch.uint8))
    return images


def compare(
    program: Program,
    canvases: Sequence[Tensor],
    found: Sequence[Arrays],
    prompts: Sequence[Mapping[str, Tensor]] = (),
) -> dict[str, float]:
    """The largest error of every output, as a part of its largest value.

    Args:
        program: What was exported.
        canvases: Batches `[B, 3, H, W]`.
        found: What the export made of each.
        prompts: Of each batch, if the export takes prompts.

    Raises:
        KivfmError: If an output has another shape, or is the same whatever the export is shown, or
            whatever its prompts.
    """
    errors: dict[str, float] = {}
    given = zip(canvases, prompts or [{}] * len(canvases), strict=True)
    right = [program.run(batch, prompt) for batch, prompt in given]
    if {"boxes", "masks"} <= set(program.outputs):
        found = [_paired(r, f) for r, f in zip(right, found, strict=True)]
    # A format may hold some of the outputs only: timm's has the vector alone.
    for name in (name for name in program.outputs if name in found[0]):
        pairs = [(r[name].float().numpy(), f[name]) for r, f in zip(right, found, strict=True)]
        for wanted, got in pairs:
            if wanted.shape != got.shape:
                raise KivfmError(f"the export's {name} is {got.shape}, not {wanted.shape}")
        scale = max(*(float(np.abs(wanted).max()) for wanted, _ in pairs), 1e-6)
        off = [float(np.abs(wanted - got.astype(np.float32)).max()) for wanted, got in pairs]
        errors[name] = float(np.max(off)) / scale
        if _blind([got for _, got in pairs], 1e-6 * scale):
            raise KivfmError(
                f"the export's {name} is the same whatever it is shown",
                "a student that has learned nothing gives that, too: kivfm evaluate tells",
            )
        if program.prompt and _blind([got.swapaxes(0, 1) for _, got in pairs], 1e-6 * scale):
            raise KivfmError(f"the export's {name} is the same whatever its prompts")
    return errors


def _paired(right: Mapping[str, Tensor], found: Arrays) -> Arrays:
    """What an export found, in the order of its model: what scores nearly the same may swap places.

    Args:
        right: The model's `boxes [B, N, 4]`, `scores [B, N, K]` and `masks [B, N, h, w]`.
        found: The export's.
    """
    if any(found[name].shape != value.shape for name, value in right.items()):
        return found
    side = float(right["boxes"].abs().max())

    def rows(of: Mapping[str, Any]) -> Tensor:
        boxes, scores = (torch.as_tensor(of[name]).float() for name in ("boxes", "scores"))
        return torch.cat((boxes, side * scores), dim=2)

    nearest = torch.cdist(rows(right), rows(found)).argmin(2).numpy()
    # Which of the worst are among the candidates is chance: of many that are just as bad.
    sure = right["scores"].amax(2) > right["scores"].amax((1, 2))[:, None] / 4
    paired: Arrays = {}
    for name, value in right.items():
        picked = np.stack([one[place] for one, place in zip(found[name], nearest, strict=True)])
        keep = sure.numpy().reshape(*sure.shape, *[1] * (picked.ndim - 2))
        paired[name] = np.where(keep, picked, value.numpy())
    return paired


def _blind(found: Sequence[np.ndarray[Any, Any]], least: float) -> bool:
    """Whether what is found of canvases of a size differs by no more than `least`."""
    shapes: dict[tuple[int, ...], list[np.ndarray[Any, Any]]] = {}
    for batch in found:
        shapes.setdefault(batch.shape[1:], []).append(batch)
    alike = (np.concatenate(batches) for batches in shapes.values())
    return any(len(x) > 1 and float(np.abs(x - x[:1]).max()) <= least for x in alike)


def check(errors: dict[str, float], precision: str) -> None:
    """Refuses an export that gives something else than its model.

    Raises:
        KivfmError: If an error is beyond tolerance, or no number.
    """
    for name, error in errors.items():
        if not error <= TOLERANCE[precision]:
            raise KivfmError(
                f"the export's {name} is {error:.2g} of its largest value off, more than"
                f" {TOLERANCE[precision]:g}; nothing is written"
            )
