"""What a model sees in images: a vector each, and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame
from kivfm_core.models.model import Model
from kivfm_core.teacher import Encoder, Levels


@dataclass(frozen=True)
class Features:
    """Features of N images, in their order, on the CPU and without gradient.

    Attributes:
        vector: `[N, D]`, the model's global feature; where it has none, its dense map's mean.
        maps: Its dense maps by name, `[N, C, h, w]`.
        frames: Where every pixel of each canvas comes from.
    """

    vector: Tensor
    maps: Mapping[str, Tensor]
    frames: Sequence[Frame]


@dataclass(frozen=True)
class Viewpoint:
    """What features are read from.

    Attributes:
        encoder: The model's own encoder, or one that gives a teacher's levels.
        teacher: Full name of the teacher whose levels these are; None for the model's own.
        level: Name of the level that is the vector, or is averaged for one.
        maps: Names of the dense levels.
    """

    encoder: Encoder
    teacher: str | None
    level: str
    maps: tuple[str, ...]

    def vector(self, levels: Levels) -> Tensor:
        """The vectors `[B, D]` in a batch of levels."""
        level = levels[self.level].detach().float().cpu()
        return level if level.ndim == 2 else level.mean(dim=(2, 3))


def viewpoint(model: Model, teacher: str | None = None) -> Viewpoint:
    """What a model's features are read from.

    Args:
        model: The model.
        teacher: Give this teacher's levels, as its stand-in predicts them, in place of the
            model's own.

    Raises:
        UsageError: If the model has no such teacher.
    """
    if teacher is None:
        return Viewpoint(model.encoder, None, model.global_level, _dense(model.encoder))
    named = [spec for spec in model.specs if teacher in (spec.name, spec.family, *spec.aliases)]
    if len(named) != 1:
        what = "several teachers" if named else "no teacher"
        names = ", ".join(spec.name for spec in model.specs)
        raise UsageError(f"{model.name} has {what} {teacher!r}", f"one of: {names}")
    encoder = model.solver(named[0].name)
    levels = encoder.spec.levels
    level = next((level for level in levels if level.kind == "global"), levels[-1])
    return Viewpoint(encoder, named[0].name, level.name, _dense(encoder))


def _dense(encoder: Encoder) -> tuple[str, ...]:
    return tuple(level.name for level in encoder.spec.levels if level.kind == "dense")


def in_order(parts: Sequence[tuple[Sequence[int], Tensor]]) -> Tensor:
    """Puts batches in the order of their images.

    Args:
        parts: The images' indices and their rows, a batch each.

    Raises:
        UsageError: If rows differ in size.
    """
    if len({rows.shape[1:] for _, rows in parts}) > 1:
        raise UsageError(
            "the images have canvases of different sizes, and so have their maps",
            "maps=False for vectors alone, or one call for each image",
        )
    order = torch.tensor([index for indices, _ in parts for index in indices])
    return torch.cat([rows for _, rows in parts])[order.argsort()]
