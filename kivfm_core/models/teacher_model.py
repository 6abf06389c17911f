"""A teacher as a model of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Size
from kivfm_core.models.model import Features, Model, Role
from kivfm_core.spec import TeacherSpec, Triple
from kivfm_core.student.one_pass import Canvas, EncoderPass, SoloPass
from kivfm_core.teacher import LoadedTeacher, Teacher, load_teacher


class TeacherModel(Model):
    """A teacher, without any student.

    Args:
        name: What it was opened by.
        spec: The teacher.
        device: Where its encoder computes.
        weights: A file in place of the spec's source.
    """

    def __init__(
        self, name: str, spec: TeacherSpec, device: torch.device, weights: Path | None = None
    ) -> None:
        super().__init__(name, (spec,), device)
        self.spec, self.weights = spec, weights

    @cached_property
    def teacher(self) -> LoadedTeacher:
        """The teacher with its weights."""
        return load_teacher(self.spec, self.weights)

    def load(self) -> LoadedTeacher:
        """The teacher."""
        return self.teacher

    def solver(self, teacher: str) -> Teacher:
        """The teacher itself."""
        return self.there(self.teacher)

    def rivals(self, teacher: str) -> Mapping[Role, Teacher]:
        """The teacher alone."""
        return {"teacher": self.solver(teacher)}

    def own_features(self) -> Mapping[Literal["base", "student"], Features]:
        """The teacher's, at its own canvas."""
        dense = self.dense_level
        more = () if dense in (None, self.global_level) else (dense,)
        return {"base": Features(self.encoder, (self.global_level, *more))}

    def passes(self, teachers: Sequence[str], canvas: Canvas = None) -> Sequence[EncoderPass]:
        """Its own pass; a teacher knows no canvas but its own.

        Raises:
            UsageError: If it is given another.
        """
        if canvas not in (None, "own"):
            raise UsageError(f"{self.name} is a teacher: it has a canvas of its own", "no --canvas")
        return [SoloPass(self.solver(name)) for name in teachers]

    @property
    def sha256(self) -> str:
        """Hash of the file that its weights were loaded from."""
        return self.teacher.provenance.sha256 if self.teacher.provenance else ""

    @property
    def global_level(self) -> str:
        """Its first global level; of a teacher that has none, its last dense one."""
        kinds = {level.kind: level.name for level in reversed(self.spec.levels)}
        return kinds.get("global") or self.spec.levels[-1].name

    @property
    def dense_level(self) -> str | None:
        """Its last dense level, or None."""
        dense = [level.name for level in self.spec.levels if level.kind == "dense"]
        return dense[-1] if dense else None

    @property
    def canvas(self) -> Size:
        """That of its contract; a square where the contract lets the image decide."""
        contract = self.spec.input
        side = -(-contract.size // contract.multiple) * contract.multiple
        return side, side

    @property
    def pad_value(self) -> Triple:
        """That of its contract."""
        return self.spec.input.pad_value

    @property
    def network(self) -> nn.Module:
        """The teacher's encoder."""
        return self.teacher.encoder
