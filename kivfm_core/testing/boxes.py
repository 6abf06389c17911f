"""Whether boxes can be corners in canvas pixels: what shows without the original model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kivfm_core.geometry import Size
from kivfm_core.teacher import Levels
from kivfm_core.testing.outcome import Finding

# Boxes of fractions of the canvas reach little beyond 1; those in pixels are rarely so small.
FRACTION = 1.5
# Share of boxes that may lie beside the canvas, and canvases that a usual box may be long.
STRAY, LONG = 0.5, 3
# What levels are multiplied by for a decoder to find objects of all its classes in them.
LOUDNESS = (1, 4, 16)


def boxes_fit(task: str, boxes: Sequence[Tensor], canvas: Size) -> None:
    """Raises a finding unless boxes can be corners in pixels of their canvas.

    Args:
        task: Whose boxes.
        boxes: An image each, `[N, 4]`.
        canvas: `(height, width)` in pixels.
    """
    found = torch.cat(list(boxes)).float()
    if not len(found):
        return
    if not found.isfinite().all():
        raise Finding(f"a box of {task} is not finite", "look for a division by zero, or exp()")
    sizes = found[:, 2:] - found[:, :2]
    turned = int((sizes < -1e-3).any(1).sum())
    if turned:
        raise Finding(
            f"{turned} of {len(found)} boxes of {task} end before they begin (x1 < x0 or y1 < y0)",
            "return corners x0, y0, x1, y1: of centers and sizes, "
            "torchvision.ops.box_convert(boxes, 'cxcywh', 'xyxy') makes them ('xywh' of corners "
            "and sizes)",
        )
    h, w = canvas
    size = f"a canvas of {h} x {w} pixels"
    if found.abs().max() <= FRACTION:
        raise Finding(
            f"all boxes of {task} lie in 0..{max(1.0, float(found.max())):.2g}, on {size}",
            "return canvas pixels: multiply x by the width and y by the height of levels.canvas",
        )
    once = "return canvas pixels: multiply offsets and sizes by the level's stride, and once only"
    inside = (found[:, :2] < found.new_tensor([w, h])).all(1) & (found[:, 2:] > 0).all(1)
    beside = len(found) - int(inside.sum())
    if beside > STRAY * len(found):
        raise Finding(f"{beside} of {len(found)} boxes of {task} lie beside {size}", once)
    usual = float(sizes.amax(1).median())
    if usual > LONG * max(canvas):
        raise Finding(f"boxes of {task} are usually {usual:.0f} pixels long, on {size}", once)


def louder(levels: Levels) -> list[Levels]:
    """Noise in place of levels, ever louder: in it a detector finds objects of all its classes."""
    random = torch.Generator().manual_seed(0)
    made: list[Levels] = []
    for loudness in LOUDNESS:
        tensors = {
            name: x.mean() + loudness * x.std() * torch.randn(x.shape, generator=random)
            for name, x in levels.items()
        }
        made.append(Levels(tensors, levels.frames))
    return made
