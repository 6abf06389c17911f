"""The kit's images: computed from a formula, so that they are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kivfm_core.data.canvas import make_canvases
from kivfm_core.geometry import Frame
from kivfm_core.spec import InputContract


def make_image(height: int, width: int, which: int) -> Tensor:
    """Waves and a bright box: RGB uint8 `[3, height, width]`."""
    y = torch.arange(height, dtype=torch.float64)[:, None] / height
    x = torch.arange(width, dtype=torch.float64)[None] / width
    pace = torch.arange(1, 4, dtype=torch.float64).view(3, 1, 1) * (which + 2)
    waves = 0.5 + 0.3 * torch.sin(pace * (4 * x + which)) * torch.cos(pace * (3 * y - which))
    box = ((x - 0.3 - 0.1 * which).abs() < 0.15) & ((y - 0.6).abs() < 0.2)
    return (255 * (waves + 0.2 * box)).clamp(0, 255).to(torch.uint8)


def canvases(contract: InputContract, side: int, count: int = 2) -> tuple[Tensor, Sequence[Frame]]:
    """Canvases `[count, 3, H, W]` in [0, 1] as the contract makes them, and their frames.

    Args:
        contract: The teacher's.
        side: What takes the place of its `size`.
        count: How many images.
    """
    small = contract.model_copy(update={"size": side, "resize": None})
    height, width = 3 * side // 2, 2 * side
    return make_canvases([make_image(height, width, which) for which in range(count)], small)
