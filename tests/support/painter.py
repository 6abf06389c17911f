"""A run of a teacher that names an image's color, a base, and a student that learned to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from oracle import Oracle, oracle_spec
from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits
from kivfm_core.teacher import Levels

COLORS = {"a red": (255, 0, 0), "b green": (0, 255, 0), "c blue": (0, 0, 255)}


def sees(shift: int = 0) -> Any:
    """Decodes to the canvas's mean color; shifted, everything is taken for another color."""
    return lambda levels, prompt: ClassLogits(levels["dense"].mean((2, 3)).roll(shift, 1))


PAINTER = oracle_spec({"classification": tuple(COLORS)}, name="painter/one")
BASE = oracle_spec({}, name="base/one")


class FakeStudent(Oracle):
    def __init__(self, trained: bool) -> None:
        super().__init__(oracle_spec({}, name="student"))
        self.trained = trained

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        return Levels({"x": images.mean((2, 3)), "V": images}, frames)

    def stand_in(self, name: str) -> Oracle:
        spec = {"painter/one": PAINTER, "base/one": BASE}[name]
        return Oracle(spec, sees(0 if self.trained else 1))

    def aligner(self, teacher: str, level: str) -> Gray:
        return Gray()


class Gray(torch.nn.Module):
    """A shared latent of one coordinate, which takes the colors out."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("here", torch.zeros(()))

    def to_latent(self, level: Tensor) -> Tensor:
        return level.mean(1, keepdim=True)

    def to_level(self, latent: Tensor) -> Tensor:
        return latent.repeat_interleave(3, 1)


class FakeRun:
    teachers, base = [BASE, PAINTER], "base/one"

    def __init__(self, path: Path, narrow: bool = False) -> None:
        self.path = path
        plan = SimpleNamespace(narrows=narrow)
        self.composition = SimpleNamespace(
            x_level="global", v_level="dense", of=lambda name: [plan],
            teachers=tuple(self.teachers), base=self.base,
            shared_head=None,
        )  # fmt: skip
        self.bundle, self.composition_file = path / "student", path / "composition.json"

    def load_teacher(self, name: str) -> Oracle:
        return Oracle(PAINTER if name == "painter/one" else BASE, sees())

    def load_student(self, untrained: bool = False) -> FakeStudent:
        return FakeStudent(not untrained)
