"""A student that teaches: its encoder gives its features, and the levels of all its stand-ins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torchvision.transforms.v2.functional as T
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.student_teacher import level_names, own_composition, parts
from kivfm_core.predictions import Predictions
from kivfm_core.readout import Readout
from kivfm_core.reference import resolve_reference
from kivfm_core.run_files import DECODERS, slug
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.stand_in import StandIn
from kivfm_core.student.student import Features, Student
from kivfm_core.tasks.prompts import fitted
from kivfm_core.teacher import Levels


class TeachingStudent(nn.Module):
    """A student as a teacher's encoder.

    Args:
        composition: Its plan.
    """

    def __init__(self, composition: Composition) -> None:
        super().__init__()
        self.student = Student(composition)

    def forward(self, x: Tensor) -> Features:
        """The student's features of canvases `[B, 3, H, W]`, then its stand-ins' levels.

        A stand-in takes the canvas as its teacher's. The student runs once for all those that see
        canvases as large as it does, as by default all do.
        """
        plan, canvas = self.student.composition, (x.shape[-2], x.shape[-1])
        passes = {canvas: self.student(x)}
        out = {"x": passes[canvas]["x"], **{m.name: passes[canvas][m.name] for m in plan.maps}}
        for spec in plan.teachers:
            size = plan.student_size(spec.name, canvas)
            if size not in passes:
                passes[size] = self.student(_resized(x, size))
            levels = StandIn(self.student, spec.name).levels(passes[size], canvas)
            names = level_names(plan, spec.name)
            out |= {names[own]: level for own, level in levels.items() if names[own] not in out}
        return out


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """As a stand-in resizes canvases, of which these are normalized."""
    return T.resize(x, list(size), InterpolationMode.BICUBIC, antialias=True)


class BorrowedDecoder(nn.Module):
    """A decoder of one of the student's teachers, which reads its levels by the student's names.

    Args:
        decoder: The decoder.
        names: What the student calls the teacher's levels, by the teacher's names.
        teacher: Whose decoder it is.
    """

    def __init__(self, decoder: nn.Module, names: Mapping[str, str], teacher: str) -> None:
        super().__init__()
        self.decoder, self.names, self.teacher = decoder, dict(names), teacher

    def _own(self, levels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {own: levels[name] for own, name in self.names.items() if name in levels}

    def forward(self, levels: Levels, prompt: Any = None) -> Predictions:
        """The decoder's predictions."""
        return self.decoder(Levels(self._own(levels), levels.frames), prompt)

    def prompt(self, **raw: Any) -> Any:
        """The decoder's prompt, in the form that it takes; None if it takes none."""
        own = cast(Any, self.decoder)
        if not hasattr(own, "prompt"):
            return None
        return own.prompt(**fitted(own.prompt, raw, self.teacher))

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The decoder's readouts, if it has any."""
        own = cast(Any, self.decoder)
        return own.readout(self._own(levels)) if hasattr(own, "readout") else []


def encoder(spec: TeacherSpec) -> TeachingStudent:
    """Builds the encoder of a student that teaches."""
    return TeachingStudent(own_composition(spec))


def decoder(spec: TeacherSpec) -> BorrowedDecoder:
    """Builds the decoder of the spec's tasks, which are those of one part."""
    found = parts(own_composition(spec))[spec.tasks[0].part]
    # The tokenizers are where the spec says: perhaps in a bundle.
    tokenizers = {task.task: task.tokenizer for task in spec.tasks}
    tasks = tuple(
        task.model_copy(update={"tokenizer": tokenizers.get(task.task, task.tokenizer)})
        for task in found.teacher.tasks
    )
    own = found.teacher.model_copy(update={"tasks": tasks})
    return BorrowedDecoder(resolve_reference(tasks[0].decoder)(own), found.levels, own.name)


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, Mapping[str, Tensor]]:
    """Splits a bundle's whole state, as `read_bundle_state` gives it."""
    own = {f"student.{k}": v for k, v in state.items() if not k.startswith(f"{DECODERS}/")}
    states: dict[str, Mapping[str, Tensor]] = {"encoder": own}
    for name, part in parts(own_composition(spec)).items():
        start = f"{DECODERS}/{slug(part.teacher.name)}/parts.{part.part}."
        states[name] = {
            f"decoder.{key.removeprefix(start)}": value
            for key, value in state.items()
            if key.startswith(start)
        }
    return states
