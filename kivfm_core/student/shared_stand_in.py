"""A stand-in that reads its teacher's levels from a canvas that it shares with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import normalize
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame, plan_frame
from kivfm_core.layers.resample import resample
from kivfm_core.spec import InputContract, Level
from kivfm_core.student.stand_in import SharedEncoder, StandIn
from kivfm_core.teacher import Levels

# A shared canvas is at most so many times as long as it is short: a panorama takes no more memory.
LONGEST = 2


def shared_input(plan: Composition, side: int | None = None) -> InputContract:
    """How a shared canvas is made: in the image's shape, since the student was trained on that.

    Args:
        plan: The student's.
        side: The short side in pixels; the largest of the student's training by default.

    Raises:
        UsageError: If the side is smaller than a cell of the student's maps.
    """
    multiple = max((known.stride for known in plan.maps[1:]), default=plan.maps[0].stride)
    size = side or max(plan.image_size)
    if size < multiple:
        raise UsageError(f"a shared canvas of {size} pixels is too small", f"--canvas {multiple}")
    changes = {"policy": "short-side", "size": size, "max_size": LONGEST * size}
    return plan.trunk.input.model_copy(update={**changes, "multiple": multiple})


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
        plan, own = self.student.composition, self.frames(frames)
        size = plan.student_size(self.spec.name, own[0].canvas)
        used = {"V", *(name for aligner in plan.of(self.spec.name) for name in aligner.maps)}
        seen = {"x": features["x"]}
        for known in plan.maps:
            if known.name in used:
                grid = Level(kind="dense", **known.model_dump()).grid(size)
                seen[known.name] = resample(features[known.name], frames, own, grid)
        return super().read(seen, own, own[0].canvas)
