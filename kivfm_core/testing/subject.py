"""The teacher that is checked: built once, on random numbers where there are no weights."""

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
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.pictures import canvases
from kivfm_core.weights.loading import State, load_parts
from kivfm_core.weights.locate import locate


class Subject:
    """What every check is given.

    Args:
        spec: What the teacher declares.
        weights: Its file; by default the spec's own source, where that is on this machine.
            Nothing is fetched.

    Attributes:
        spec: As given.
        weights: The file, or None: then the teacher is built on random numbers.
    """

    def __init__(self, spec: TeacherSpec, weights: Path | None = None) -> None:
        self.spec = spec
        here = weights or locate(spec.weights.source)
        self.weights = here if weights or (here and here.is_file()) else None

    def build(self) -> LoadedTeacher:
        """Builds the teacher anew and loads it; whatever its code raises gets out."""
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
        """The one that checks share; `builds` and `weights-fit` say why if there is none."""
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
        """What the encoder itself returns for canvases `[B, 3, H, W]`, to be judged yet."""
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
    """Random numbers are the same every time here, and the caller's are left as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def scrambled(state: State) -> dict[str, Tensor]:
    """A state moved off its initial values: zeros and ones would hide what is not connected."""
    made: dict[str, Tensor] = {}
    for key, value in state.items():
        if value.is_floating_point():
            noise = 0.02 * torch.randn_like(value)
            value = value + (noise.abs() if key.endswith("running_var") else noise)
        made[key] = value
    return made


def difference(found: Tensor, wanted: Tensor) -> float:
    """How far two tensors of one shape are apart, relative to the second; nan if any is."""
    found, wanted = found.detach(), wanted.detach()
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))
