"""A stand-in: the student in the role of one of its teachers."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from kivfm_core.aligners.aligner import Aligner
from kivfm_core.aligners.joint import JointAligner
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.words import (
    all_specs,
    canvas_teacher,
    clicked_teacher,
    is_words,
    word_source,
)
from kivfm_core.data.canvas import normalize, repad, rescale
from kivfm_core.errors import UsageError, is_out_of_memory, one_line
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.student.text_masks import TextMaskDecoders
from kivfm_core.student.words import WordDecoders
from kivfm_core.teacher import Decoders, Levels

# What of a teacher's contract the student does not see: it pads and normalizes in its own way.
UNSEEN = ("pad_value", "channel_order", "scale", "mean", "std", "train_sizes")


class SharedEncoder(Protocol):
    """What stand-ins need of a student: its features, its aligners, and the teachers' decoders."""

    composition: Composition
    decoders: dict[str, Decoders]

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """The student's features of normalized canvases `[B, 3, H, W]`."""
        ...

    def aligner(self, teacher: str, level: str) -> Aligner:
        """The aligner of one teacher's level."""
        ...


@contextmanager
def _agreeing(teacher: str) -> Generator[None]:
    """Networks that do not give what their stored plan says raise one kind of error."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, ArithmeticError, TypeError) as error:
        if is_out_of_memory(error):
            raise  # the caller may take fewer images at once
        raise UsageError(
            f"the student does not give {teacher}'s levels as its plan says: {one_line(error)}",
            "fetch the student again, or open it with the plugin versions that made it",
        ) from error


class StandIn:
    """A `Teacher` whose encoder is the student's and whose decoders are the teacher's.

    Args:
        student: The student.
        teacher: Full name of one of its teachers.
    """

    def __init__(self, student: SharedEncoder, teacher: str) -> None:
        self.student = student
        self.spec = next(s for s in all_specs(student.composition) if s.name == teacher)

    @property
    def decoders(self) -> Decoders:
        """The teacher's decoders, from the bundle."""
        if not is_words(self.spec):
            return self.student.decoders[self.spec.name]
        teacher, level = word_source(self.spec)
        aligner = cast(JointAligner, self.student.aligner(teacher, level))
        words = WordDecoders(self.spec, self.student.decoders[teacher], aligner, level)
        clicked = clicked_teacher(self.spec)
        return TextMaskDecoders(words, self.student.decoders[clicked]) if clicked else words

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The student's predictions of the teacher's levels, on the teacher's own grids."""
        with torch.no_grad():
            canvas = (images.shape[-2], images.shape[-1])
            with _agreeing(self.spec.name):
                return self.read(self.look(images, frames), frames, canvas)

    @property
    def canvas_key(self) -> object:
        """Equal for stand-ins that give the student equal canvases of an image."""
        contract = self.spec.input.model_copy(update=dict.fromkeys(UNSEEN))
        scales, whose = self.student.composition.scales, canvas_teacher(self.spec)
        return contract.model_dump_json(), scales.get(whose, 1.0)

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames of the levels for canvases of these frames: the same."""
        return list(frames)

    def look(self, images: Tensor, frames: Sequence[Frame]) -> dict[str, Tensor]:
        """The student's features of canvases `[B, 3, H, W]` in [0, 1], by its one pass."""
        plan, canvas = self.student.composition, (images.shape[-2], images.shape[-1])
        # Canvases arrive as the teacher's contract asks. The student was trained on canvases of
        # its own: with another padding, and perhaps at another scale.
        contract, size = plan.trunk.input, plan.student_size(canvas_teacher(self.spec), canvas)
        pixels = rescale(repad(images, frames, contract.pad_value), size)
        return self.student(normalize(pixels, contract))

    def read(
        self, features: Mapping[str, Tensor], frames: Sequence[Frame], canvas: tuple[int, int]
    ) -> Levels:
        """The teacher's levels, from what `look` gave for canvases of `(h, w)` pixels."""
        return Levels(self.levels(features, canvas), frames)

    def levels(self, features: Mapping[str, Tensor], canvas: tuple[int, int]) -> dict[str, Tensor]:
        """Predicts the teacher's levels from the student's features.

        Args:
            features: The student's features.
            canvas: Height and width in pixels of the teacher's canvas, which sets the grids.
        """
        out: dict[str, Tensor] = {}
        for level in self.spec.levels:
            aligner = self.student.aligner(self.spec.name, level.name)
            grid = level.grid(canvas) if level.kind == "dense" else None
            out[level.name] = aligner.to_level(aligner.predict(features, grid))
        return out

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt once."""
        return self.decoders.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels."""
        return self.decoders.decode(task, levels, prompt)
