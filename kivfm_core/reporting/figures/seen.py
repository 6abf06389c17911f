"""One network over all images: its vectors and its dense maps, beside what else is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels, Teacher

# Of so many images maps are kept: hundreds of megabytes for large networks.
MAPS = 32
# Of several dense levels the one whose stride is nearest to this is shown.
STRIDE = 16


@dataclass
class Seen:
    """What a network gave.

    Attributes:
        name: The network.
        vector: Name of its global level; None if it has none.
        dense: Name of the dense level that is shown; None if it has none.
        vectors: `[D]` by image.
        maps: `[C, H, W]` with the canvas's frame, by image.
    """

    name: str
    vector: str | None
    dense: str | None
    vectors: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    maps: dict[int, tuple[Tensor, Frame]] = field(default_factory=dict[int, tuple[Tensor, Frame]])

    def add(self, indices: Sequence[int], levels: Levels) -> None:
        """Takes a batch's levels."""
        for place, index in enumerate(indices):
            if self.vector is not None:
                self.vectors[index] = levels[self.vector][place].detach().float().cpu()
            if self.dense is not None and len(self.maps) < MAPS:
                one = levels[self.dense][place].detach().float().cpu()
                self.maps[index] = one, levels.frames[place]


def start(name: str, spec: TeacherSpec) -> Seen:
    """Begins a record of an encoder's levels."""
    vectors = [level.name for level in spec.levels if level.kind == "global"]
    dense = [level for level in spec.levels if level.kind == "dense" and level.stride]
    best = min(dense, key=lambda level: abs(log((level.stride or 1) / STRIDE)), default=None)
    return Seen(name, vectors[0] if vectors else None, best.name if best else None)


class Watched:
    """A teacher whose last levels can be looked at, so that what needs them shares one pass."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher, self.spec = teacher, teacher.spec
        self.levels: Levels | None = None

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The teacher's levels."""
        self.levels = self.teacher.encode(images, frames)
        return self.levels

    def prompt(self, task: str, **raw: Any) -> Any:
        """The teacher's."""
        return self.teacher.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """The teacher's."""
        return self.teacher.decode(task, levels, prompt)
