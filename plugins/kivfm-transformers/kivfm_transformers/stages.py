"""The maps of a backbone as levels, and what stands where the backbone was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec
from kivfm_transformers.model import encoder_half


def as_levels(maps: Iterable[Tensor]) -> dict[str, Tensor]:
    """Names maps `[B, C, h, w]`, fine to coarse: `stage1`, `stage2`, ..."""
    return {f"stage{index}": value for index, value in enumerate(maps, 1)}


class MaskedBackbone(nn.Module):
    """A backbone that is called with a canvas and a mask of its content."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = encoder_half(spec)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Its maps `[B, C, h, w]` of canvases `[B, 3, H, W]`, as if all were content."""
        everywhere = x.new_ones(x.shape[0], *x.shape[2:])
        return [value for value, _ in self.model.model.backbone(x, everywhere)]


class GivenMaps(nn.Module):
    """Stands where the backbone was, so that all after it is the original's own code.

    Args:
        form: From the maps, and what the backbone was called with after the canvas, to what the
            backbone returned.
    """

    def __init__(self, form: Callable[..., Any]) -> None:
        super().__init__()
        self.form = form
        self.maps: list[Tensor] = []

    def forward(self, canvas: Tensor, *more: Any) -> Any:
        """Gives the maps; the canvas is not looked at."""
        return self.form(self.maps, *more)

    def run(self, model: nn.Module, levels: Mapping[str, Tensor], *more: Any) -> Any:
        """What the model around this gives for the levels."""
        self.maps = list(levels.values())
        try:
            return model(blank(self.maps[0]), *more, return_dict=True)
        finally:
            self.maps = []


def blank(like: Tensor) -> Tensor:
    """A canvas without memory, for models that ask it for size and device.

    Args:
        like: A map `[B, C, h, w]`, whose size is as good as any: without a mask, all is content.
    """
    return like.new_zeros(()).expand(len(like), 3, *like.shape[2:])
