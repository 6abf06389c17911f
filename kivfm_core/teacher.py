"""The protocol that teachers and stand-ins share, and how a teacher is built from its spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from kivfm_core.data.canvas import normalize
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.readout import Readout
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.stored import obtain_weights
from kivfm_core.registry.students import is_student
from kivfm_core.run_files import STUDENT_CARD, STUDENT_STATE
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.prompts import fitted
from kivfm_core.weights.building import building
from kivfm_core.weights.fetch import file_sha256
from kivfm_core.weights.loading import Provenance, State, load_parts, load_strict


class Levels(Mapping[str, Tensor]):
    """A batch of levels by name, with the frames of the canvases that they were computed from."""

    def __init__(self, tensors: Mapping[str, Tensor], frames: Sequence[Frame]) -> None:
        self.tensors = dict(tensors)
        self.frames = list(frames)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the batch's canvases, in pixels."""
        return self.frames[0].canvas


class Encoder(Protocol):
    """What computes levels of canvases: a teacher, a stand-in, or the student itself."""

    spec: TeacherSpec

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Levels of canvases `[B, 3, H, W]`, RGB in [0, 1], not normalized."""
        ...


@runtime_checkable
class Teacher(Encoder, Protocol):
    """An encoder with decoders: what evaluation, prediction and export work with.

    They treat teachers and stand-ins alike.
    """

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt.

        `zero-shot` takes `labels`, the class names, once for an evaluation; and `templates`, the
        sentences to put them into, such as `a photo of a {}`, if its decoder takes them.
        `promptable-segmentation` takes `prompts`: for each image of a batch its
        `kivfm_core.geometry.MaskPrompt`s in canvas pixels, one mask for each. In their place it
        takes `points`, a positive click for each mask: for each image `[P, 2]`, (x, y) in canvas
        pixels. Other tasks take none.
        """
        ...

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels."""
        ...


class Decoders(nn.Module):
    """A teacher's decoders without its encoder: all that a stand-in needs of a teacher."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.spec = spec
        builders = {task.part: task.decoder for task in spec.tasks}
        self.parts = nn.ModuleDict(
            {
                part: resolve_reference(builder)(_of_part(spec, part))
                for part, builder in builders.items()
            }
        )

    def load(self, states: Mapping[str, State]) -> int:
        """Loads every part's state, strictly; returns how many tensors."""
        return sum(
            load_strict(part, states.get(name, {}), f"{self.spec.name} ({name})")
            for name, part in self.parts.items()
        )

    def part(self, task: str) -> nn.Module:
        """The decoder of a task.

        Raises:
            UsageError: If the teacher does not solve it.
        """
        return self.parts[self.spec.task(task).part]

    def readout(self, levels: Mapping[str, Tensor]) -> list[Readout]:
        """The readouts of all decoders that have one: their outputs before any selection.

        Gradients reach the levels.
        """
        return [
            readout
            for part in self.parts.values()
            if hasattr(part, "readout")
            for readout in cast(Any, part).readout(levels)
        ]

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt; None for a decoder that takes none.

        Raises:
            UsageError: If the decoder takes single clicks, and a prompt is more than that.
        """
        part: Any = self.part(task)
        if not hasattr(part, "prompt"):
            return None
        with torch.no_grad():
            return part.prompt(**fitted(part.prompt, raw, self.spec.name))

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions of a task, computed from the levels that its spec names and no others."""
        reads = self.spec.task(task).levels
        given = Levels({name: levels[name] for name in reads}, levels.frames)
        with torch.no_grad():
            return self.part(task)(given, prompt)


def _of_part(spec: TeacherSpec, part: str) -> TeacherSpec:
    """The spec with the tasks of one decoder alone."""
    tasks = tuple(task for task in spec.tasks if task.part == part)
    return spec.model_copy(update={"tasks": tasks})


class LoadedTeacher(nn.Module):
    """A frozen teacher: encoder and decoders with their weights."""

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder: nn.Module = resolve_reference(spec.encoder)(spec)
        self.decoders = Decoders(spec)
        self.provenance: Provenance | None = None
        self.requires_grad_(False).train(False)

    def train(self, mode: bool = True) -> LoadedTeacher:
        """Ignores `mode`: a teacher is always in evaluation mode."""
        return cast(LoadedTeacher, super().train(False))

    def load(self, parts: Mapping[str, State]) -> int:
        """Loads the states of the encoder and of every decoder, strictly."""
        keys = load_strict(self.encoder, parts["encoder"], f"{self.spec.name} (encoder)")
        return keys + self.decoders.load(parts)

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Levels of canvases `[B, 3, H, W]`, RGB in [0, 1]; normalization happens here."""
        with torch.no_grad():
            return Levels(self.encoder(normalize(images, self.spec.input)), frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt once."""
        return self.decoders.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels."""
        return self.decoders.decode(task, levels, prompt)


def load_teacher(
    name: str | TeacherSpec,
    weights: str | Path | None = None,
    *,
    described: Path | None = None,
) -> LoadedTeacher:
    """Builds a teacher and loads its weights.

    Args:
        name: A teacher's name as `kivfm teachers list` shows it, the folder of a run or a bundle
            whose student is the teacher, or a spec.
        weights: A file to use instead of the spec's source.
        described: The file that a spec is from, if it is not the installed teacher's own: its
            networks may then take no more memory than their weights file justifies.

    Raises:
        UsageError: If no teacher has this name.
        PluginError: If its plugin is broken.
        WeightsError: If its weights cannot be found or fetched, or do not fit.
    """
    registry = get_registry()
    spec = registry.resolve(name) if isinstance(name, str) else name
    given = Path(weights) if weights is not None else None
    if given is None and isinstance(name, str) and (bundle := registry.find_student(name)):
        given = bundle / STUDENT_STATE
    file = obtain_weights(spec, given, registry)
    parts = load_parts(spec, file)
    # A student's plan may be a stranger's, unlike the spec of an installed teacher.
    plan = file.with_name(STUDENT_CARD) if is_student(spec) else described
    with building(plan, file) if plan is not None else nullcontext():
        teacher = LoadedTeacher(spec)
    keys = teacher.load(parts)
    source = str(file) if given is not None else spec.weights.source
    teacher.provenance = Provenance(source, file_sha256(file), keys)
    return teacher
