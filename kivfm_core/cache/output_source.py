"""The sources of outputs: what a run computes for every view, and what caches store. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kivfm_core.composition.composition import Composition
from kivfm_core.spec import TeacherSpec

CANVAS, TRUNK = "canvas", "trunk"


@dataclass(frozen=True)
class OutputSource:
    """The student's canvas, its frozen trunk, or a teacher, at one canvas size.

    Attributes:
        kind: Which of these.
        name: The teacher's or the base's name; `canvas` for the canvas, which is no network.
        side: Side of the canvases in pixels: the student's for a canvas or trunk, the teacher's own
            for a teacher.
    """

    kind: Literal["canvas", "trunk", "teacher"]
    name: str
    side: int

    @classmethod
    def canvas(cls, side: int) -> OutputSource:
        """The student's canvas of one size."""
        return cls("canvas", CANVAS, side)

    @classmethod
    def trunk(cls, composition: Composition, side: int) -> OutputSource:
        """The student's frozen trunk, on student canvases of one size."""
        return cls("trunk", composition.trunk.name, side)

    @classmethod
    def teacher(cls, composition: Composition, spec: TeacherSpec) -> OutputSource:
        """A teacher, on its own canvases."""
        return cls("teacher", spec.name, composition.side(spec))

    @property
    def key(self) -> str:
        """Its name in caches, costs and plans: `canvas@224`, `trunk@224`, `clip/nano`.

        No teacher's name contains an `@`, so a teacher called `trunk` has a key of its own.
        """
        return self.name if self.kind == "teacher" else f"{self.kind}@{self.side}"

    @property
    def sized(self) -> str:
        """The name with the canvas size, as measured rates name it: `clip/nano@224`."""
        return f"{self.name}@{self.side}"
