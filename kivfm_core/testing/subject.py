"""The teacher that is checked: built once, with random weights where its own are not here."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kivfm_core.data.canvas import normalize
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels, LoadedTeacher
from kivfm_core.testing.images import canvases
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.weights.loading import State, load_parts
from kivfm_core.weights.locate import locate


class Subject:
    """The teacher, as every check gets it.

    Args:
        spec: The teacher's spec.
        weights: Its file; by default the spec's own source, where that is on this machine.
            Nothing is fetched.

    Attributes:
        spec: As given.
        weights: The file; None if the teacher is built with random weights.
    """

    def __init__(self, spec: TeacherSpec, weights: Path | None = None) -> None:
        self.spec = spec
        here = weights or locate(spec.weights.source)
        self.weights = here if weights or (here and here.is_file()) else None

    def build(self) -> LoadedTeacher:
        """Builds the teacher anew and loads it; passes on whatever its code raises."""
        parts = load_parts(self.spec, self.weights) if self.weights else None
        with seeded():
            teacher = LoadedTeacher(self.spec)
            if parts is not None:
                teacher.load(parts)
            else:
                teacher.load_state_dict(scrambled(teacher.state_dict()))
        return teacher

    @cached_property
    def _built(self) -> LoadedTeacher | Exception:
        try:
            return self.build()
        except Exception as error:
            return error

    @property
    def teacher(self) -> LoadedTeacher:
        """The one teacher that all checks share.

        Raises:
            NotChecked: If it cannot be built; the checks `builds` and `weights-fit` report why.
        """
        if isinstance(self._built, Exception):
            raise NotChecked("the teacher cannot be built")
        return self._built

    @property
    def file(self) -> Path:
        """The weights, for a check that needs them."""
        if self.weights is None:
            name, source = self.spec.name, self.spec.weights.source
            raise NotChecked(
                f"no weights: {source} is not here", f"kivfm teachers check {name} --weights FILE"
            )
        return self.weights

    @cached_property
    def sides(self) -> list[int]:
        """The sides of the square canvases that the spec declares, ascending."""
        contract = self.spec.input
        usual = -(-contract.size // contract.multiple) * contract.multiple
        return sorted({usual, *contract.train_sizes})

    def levels(self, count: int = 2) -> Levels:
        """The levels of some images, at the smallest declared size."""
        return self.teacher.encode(*canvases(self.spec.input, self.sides[0], count))

    def forward(self, images: Tensor) -> Mapping[str, Any]:
        """What the encoder itself returns for canvases `[B, 3, H, W]`.

        Raises:
            Finding: If these are no tensors by name.
        """
        with torch.no_grad():
            found = self.teacher.encoder(normalize(images, self.spec.input))
        if not isinstance(found, Mapping) or not all(isinstance(x, Tensor) for x in found.values()):
            raise Finding(
                f"the encoder returns a {type(found).__name__}, not tensors by level",
                "return {level name: tensor} from its forward",
            )
        return found


@contextmanager
def seeded() -> Generator[None, None, None]:
    """Fixes the random numbers inside, and leaves the caller's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def scrambled(state: State) -> dict[str, Tensor]:
    """A state with noise on it: initial zeros and ones would hide parts that are not connected."""
    made: dict[str, Tensor] = {}
    for key, value in state.items():
        if value.is_floating_point():
            noise = 0.02 * torch.randn_like(value)
            value = value + (noise.abs() if key.endswith("running_var") else noise)
        made[key] = value
    return made


def off(found: Tensor, wanted: Tensor, limit: float, than: str) -> str:
    """How a tensor differs from another, in words; empty if it does not.

    Args:
        found: A tensor.
        wanted: What it is compared with.
        limit: Relative difference that is allowed.
        than: What follows "off", such as `that in a batch`.
    """
    if found.shape != wanted.shape:
        return f"of shape {tuple(found.shape)} and not {tuple(wanted.shape)}, unlike {than}"
    if not found.isfinite().all():
        return "not finite"
    apart = difference(found.float(), wanted.float())
    if apart <= limit:
        return ""
    if apart > 100:
        return f"more than 100 times off {than}"
    return f"{100 * apart:{'.2g' if apart < 0.1 else '.0f'}}% off {than}"


def difference(found: Tensor, wanted: Tensor) -> float:
    """The distance of two tensors of one shape, relative to the second; nan if a value is nan."""
    found, wanted = found.detach(), wanted.detach()
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))
