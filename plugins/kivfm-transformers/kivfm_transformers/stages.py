"""The maps of a backbone as levels, and what takes the backbone's place in a decoder."""

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
        """Its maps `[B, C, h, w]` of canvases `[B, 3, H, W]`, all of which count as content."""
        everywhere = x.new_ones(x.shape[0], *x.shape[2:])
        return [value for value, _ in self.model.model.backbone(x, everywhere)]


class GivenMaps(nn.Module):
    """Takes the backbone's place, so that all after it is transformers' own code.

    Args:
        form: Turns the maps, and the backbone's other arguments, into what the backbone returns.
    """

    def __init__(self, form: Callable[..., Any]) -> None:
        super().__init__()
        self.form = form
        self.maps: list[Tensor] = []

    def forward(self, canvas: Tensor, *more: Any) -> Any:
        """Gives the maps; the canvas is not used."""
        return self.form(self.maps, *more)

    def run(self, model: nn.Module, levels: Mapping[str, Tensor], *more: Any) -> Any:
        """Runs the model around this on levels."""
        self.maps = list(levels.values())
        try:
            return model(blank(self.maps[0]), *more, return_dict=True)
        finally:
            self.maps = []


def blank(like: Tensor) -> Tensor:
    """A canvas without memory, for models that read its size and device.

    Args:
        like: A map `[B, C, h, w]`. Its size is used, but any would do: without a mask the whole
            canvas counts as content.
    """
    return like.new_zeros(()).expand(len(like), 3, *like.shape[2:])
