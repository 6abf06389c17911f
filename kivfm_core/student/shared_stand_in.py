"""A stand-in that reads its teacher's levels from a canvas that it shares with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field
from torch import Tensor

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.student_teacher import LONGEST
from kivfm_core.composition.words import canvas_teacher
from kivfm_core.data.canvas import normalize
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame, Size, plan_frame
from kivfm_core.layers.resample import resample
from kivfm_core.spec import InputContract, Level
from kivfm_core.student.stand_in import SharedEncoder, StandIn
from kivfm_core.teacher import Levels


class SharedInput(InputContract):
    """How a shared canvas is made: in the image's shape, which the student was trained on.

    Attributes:
        long: The long side has at least so many pixels.
    """

    long: int = Field(default=0, ge=0)

    def short_side_scale(self, short: int, long: int) -> float:
        """Resized / original: what the shorter and the longer side need."""
        scale = max(self.size / short, self.long / long)
        return scale if self.max_size is None else min(scale, self.max_size / long)


def shared_input(plan: Composition, side: int | None = None) -> SharedInput:
    """How a shared canvas is made.

    By default as finely as the finest of the canvases that the stand-ins have of their own: no
    task sees less than alone.

    Args:
        plan: The student's.
        side: The short side in pixels.

    Raises:
        UsageError: If the side is smaller than a cell of the student's maps.
    """
    multiple = max((known.stride for known in plan.maps[1:]), default=plan.maps[0].stride)
    if side is not None and side < multiple:
        raise UsageError(f"a shared canvas of {side} pixels is too small", f"--canvas {multiple}")
    size, long = (side, 0) if side else _finest(plan)
    shape = {"policy": "short-side", "size": size, "resize": None, "multiple": multiple}
    limits = {"long": long, "max_size": LONGEST * max(size, long), "train_sizes": ()}
    return SharedInput.model_validate(plan.trunk.input.model_dump() | shape | limits)


def _finest(plan: Composition) -> tuple[int, int]:
    """The largest short and the largest long side that a stand-in's own canvas gives an image."""
    short, long = [1], [0]
    for spec in plan.teachers:
        letterbox = spec.input.policy.startswith("letterbox")
        side = spec.input.size if letterbox else spec.input.resize or spec.input.size
        (long if letterbox else short).append(plan.student_size(spec.name, (side, side))[0])
    return max(short), max(long)


class SharedStandIn(StandIn):
    """A stand-in that takes a shared canvas, and gives levels and frames of its teacher's.

    The student's dense maps are read where the cells of its maps on the teacher's canvas would lie;
    what follows is a stand-in's own work. A global level is pooled from what the teacher's canvas
    shows, beside the x of the whole shared canvas.

    Args:
        student: The student.
        teacher: Full name of one of its teachers.
        contract: How the shared canvas is made.
    """

    def __init__(self, student: SharedEncoder, teacher: str, contract: InputContract) -> None:
        super().__init__(student, teacher)
        self.own_input = self.spec.input
        self.spec = self.spec.model_copy(update={"input": contract})

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames of the teacher's canvases, of images that these shared canvases show."""
        return [plan_frame(frame.original, self.own_input) for frame in frames]

    def look(self, images: Tensor, frames: Sequence[Frame]) -> dict[str, Tensor]:
        """The student's features of shared canvases `[B, 3, H, W]` in [0, 1]."""
        return self.student(normalize(images, self.spec.input))

    def read(
        self, features: Mapping[str, Tensor], frames: Sequence[Frame], canvas: tuple[int, int]
    ) -> Levels:
        """The teacher's levels, on the grids and with the frames of the teacher's canvases.

        Args:
            features: Of shared canvases.
            frames: Of the shared canvases. The teacher's canvases of these images have one size.
            canvas: `(h, w)` of the shared canvases.
        """
        own = self.frames(frames)
        if own == list(frames):
            return super().read(features, frames, canvas)
        seen = {
            name: resample(features[name], frames, own, grid)
            for name, grid in self._grids(own[0].canvas).items()
        }
        whole = {name: vector for name, vector in features.items() if vector.ndim == 2}
        return super().read({**seen, **whole}, own, own[0].canvas)

    def _grids(self, canvas: Size) -> dict[str, Size]:
        """The cells on which each of the student's maps is read, for teacher's canvases `(h, w)`.

        As many as the student's map has on that canvas, unless no level has as many: then those
        that the finest level has.
        """
        plan = self.student.composition
        size = plan.student_size(canvas_teacher(self.spec), canvas)
        plans = (self.student.aligner(self.spec.name, x.name).plan for x in self.spec.levels)
        used = {"V", *(name for one in plans for name in one.reads)}
        grids = {
            known.name: Level(kind="dense", **known.model_dump()).grid(size)
            for known in plan.maps
            if known.name in used
        }
        levels = [level.grid(canvas) for level in self.spec.levels if level.kind == "dense"]
        finest = max([*levels, min(grids.values())])
        return {name: min(grid, finest) for name, grid in grids.items()}
