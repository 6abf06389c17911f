"""The student: base, adapter and aligners. Its stand-ins can replace any of its teachers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from kivfm_core.adapters.adapter import Adapter, Encode
from kivfm_core.adapters.plan import Source
from kivfm_core.adapters.table import build_adapter
from kivfm_core.aligners.aligner import Aligner
from kivfm_core.aligners.table import build_aligner
from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import normalize
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame
from kivfm_core.layers.intermediate import as_map, intermediate_outputs
from kivfm_core.layers.resize import resize
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.reference import resolve_reference
from kivfm_core.spec import Attachment, Level, TeacherSpec, Weights
from kivfm_core.student.stand_in import StandIn
from kivfm_core.teacher import Decoders, Levels

Features = dict[str, Tensor]


class Student(nn.Module):
    """One encoder from whose features every teacher's levels can be predicted.

    Its features are `x [B, D]`, `V [B, D, h, w]`, and the adapter's maps. Aligners read nothing
    else, and probes measure nothing else.

    Args:
        composition: The plan from which it is built, with random weights.
    """

    readout_units: Tensor

    def __init__(self, composition: Composition) -> None:
        super().__init__()
        self.composition = composition
        self.trunk: nn.Module = resolve_reference(composition.trunk.encoder)(composition.trunk)
        plan = composition.adapter
        self.adapter = build_adapter(plan, self.trunk) if plan else None
        if self.adapter is not None:
            self.trunk.requires_grad_(False).eval()
        self.extensions = nn.ModuleList(build_adapter(p) for p in composition.extensions)
        self.aligners = nn.ModuleDict({p.key: build_aligner(p) for p in composition.aligners})
        self.decoders: dict[str, Decoders] = {}
        # Mean decoder distance of an untrained student: the unit of the decoder loss.
        self.register_buffer("readout_units", torch.ones(len(composition.teachers)))
        self.spec = student_spec(composition)
        if composition.frozen_teachers:
            self._freeze_kept()

    def _freeze_kept(self) -> None:
        # Stand-ins of frozen teachers read only parts that are frozen here, so their outputs stay
        # the same bit for bit.
        self.requires_grad_(False)
        self.extensions[-1].requires_grad_(True)
        for spec in self.composition.learned:
            for plan in self.composition.of(spec.name):
                self.aligners[plan.key].requires_grad_(True)

    def take_over(self, earlier: Student) -> None:
        """Copies the weights and decoders of a student whose composition this one extends.

        Raises:
            ValueError: If it has weights that this student lacks.
        """
        state = earlier.state_dict()
        units = state.pop("readout_units")
        unknown = self.load_state_dict(state, strict=False).unexpected_keys
        if unknown:
            raise ValueError(f"no place for {', '.join(unknown)} of the earlier student")
        self.readout_units[: len(units)] = units
        self.decoders |= earlier.decoders

    def forget(self, teachers: Sequence[str]) -> None:
        """Resets what was learned for these teachers to an untrained student's state."""
        for plan in self.composition.aligners:
            if plan.teacher in teachers:
                self.aligner(plan.teacher, plan.level.name).forget()
        if self.composition.base in teachers and self.adapter is not None:
            self.adapter.forget()

    def train(self, mode: bool = True) -> Student:
        """Sets the training mode; a frozen trunk stays in evaluation mode."""
        super().train(mode)
        if self.adapter is not None:
            self.trunk.eval()
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes activations again for the gradient instead of storing them; timm's name."""
        for part in (*self._adapters(), *self.aligners.values()):
            cast(Any, part).set_grad_checkpointing(enable)
        # A trunk that is trained from scratch can be any model: some of its modules can do this.
        for part in self.trunk.modules() if self.adapter is None else ():
            if hasattr(part, "set_grad_checkpointing"):
                cast(Any, part).set_grad_checkpointing(enable)

    def _adapters(self) -> list[Adapter]:
        first = [] if self.adapter is None else [self.adapter]
        return [*first, *cast(Iterable[Adapter], self.extensions)]

    def aligner(self, teacher: str, level: str) -> Aligner:
        """The aligner of one teacher's level."""
        plan = next(p for p in self.composition.of(teacher) if p.level.name == level)
        return cast(Aligner, self.aligners[plan.key])

    def _apply(self, fn: Any, recurse: bool = True) -> Student:
        # Decoders move with the student to a device or precision, although they are not registered
        # as its children: they belong to the teachers, not to the student's state.
        for decoders in self.decoders.values():
            decoders._apply(fn, recurse)  # pyright: ignore[reportPrivateUsage]
        return cast(Student, super()._apply(fn, recurse))

    def trained(self) -> dict[str, Tensor]:
        """Parameters and fitted buffers that training made: all but a frozen trunk's."""
        state = self.state_dict()
        if self.composition.trains_trunk:
            return state
        return {k: v for k, v in state.items() if not k.startswith("trunk.")}

    def forward(self, x: Tensor) -> Features:
        """The student's features of normalized canvases `[B, 3, H, W]`."""
        return self.adapt(x, self.run_trunk(x))

    def adapt(self, x: Tensor, trunk: TrunkOutput) -> Features:
        """The student's features, from canvases and the output of `run_trunk` for them."""
        features, run_base = trunk.features, partial(self._run, x, ())
        everything = self.composition.reads
        for plan, adapter in zip(self.composition.adapters, self._adapters(), strict=True):
            own = tuple(trunk.attachments[everything.index(source)] for source in plan.reads)
            features |= adapter.adapt(x, trunk._replace(attachments=own), run_base)
        return features

    def run_trunk(self, x: Tensor) -> TrunkOutput:
        """The trunk's output without the adapter.

        Args:
            x: Normalized canvases `[B, 3, H, W]`; the trunk sees them at its own input size.
        """
        # A frozen trunk needs no gradients.
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.composition.trains_trunk):
            return self._run(x, self.composition.reads)

    def _run(self, x: Tensor, reads: Sequence[Source], encode: Encode | None = None) -> TrunkOutput:
        """Runs the trunk, or a changed form of it, and reads what adapters read."""
        plan = self.composition
        v_level = plan.trunk.level(plan.v_level)
        side = plan.trunk_input((x.shape[-2], x.shape[-1]))
        places = [source.module for source in reads if isinstance(source, Attachment)]
        with intermediate_outputs(self.trunk, places) as outputs:
            seen = resize(x, side)
            levels = encode(self.trunk, seen) if encode else self.trunk(seen)
        v = resize(levels[plan.v_level], v_level.grid((x.shape[-2], x.shape[-1])))
        maps = (
            as_map(outputs[one.module], one, (side[0] // one.stride, side[1] // one.stride))
            if isinstance(one, Attachment)
            else levels[one.name]
            for one in reads
        )
        return TrunkOutput(levels[plan.x_level] if plan.x_level else v.mean((2, 3)), v, tuple(maps))

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The student's own features of canvases `[B, 3, H, W]` in [0, 1], as levels."""
        with torch.no_grad():
            return Levels(self(normalize(images, self.spec.input)), frames)

    def stand_in(self, teacher: str) -> StandIn:
        """The student in the role of a teacher.

        Raises:
            UsageError: If it was not distilled from a teacher of this name.
        """
        names = [spec.name for spec in self.composition.teachers]
        matches = [n for n in names if n == teacher or n.split("/")[0] == teacher]
        if len(matches) != 1:
            what = "several teachers" if matches else "no teacher"
            raise UsageError(
                f"the student stands in for {what} {teacher!r}",
                f"one of: {', '.join(names)}",
            )
        return StandIn(self, matches[0])


def student_spec(composition: Composition) -> TeacherSpec:
    """A spec of the student as an encoder, with its own features as levels."""
    maps = tuple(Level(kind="dense", **m.model_dump()) for m in composition.maps)
    return composition.trunk.model_copy(
        update={
            "name": "student",
            "aliases": (),
            "role": "general",
            "summary": f"distilled from {', '.join(s.name for s in composition.distilled)}",
            "encoder": "kivfm_core.student.student:encoder",
            "config": {"composition": composition.model_dump(mode="json")},
            "levels": (Level(name="x", kind="global", channels=composition.x_channels), *maps),
            "tasks": (),
            "attachments": (),
            "weights": Weights(source="run:student", split="kivfm_core.student.student:split"),
            "parameters": composition.total,
        }
    )


def encoder(spec: TeacherSpec) -> Student:
    """Builds the encoder of `student_spec`: a student, from the composition in the spec."""
    return Student(Composition.model_validate(spec.config["composition"]))


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, Mapping[str, Tensor]]:
    """Splits a bundle's state: all of it is the encoder's."""
    return {"encoder": state}
