"""The student: base + adapter + aligners, and the stand-ins that let it replace any teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from kivfm_core.adapters import build_adapter
from kivfm_core.adapters.full import FullAdapter
from kivfm_core.adapters.inner import InnerAdapter
from kivfm_core.adapters.side import SideAdapter
from kivfm_core.aligners import build_aligner
from kivfm_core.aligners.base import Aligner
from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import normalize
from kivfm_core.errors import UsageError
from kivfm_core.geometry import Frame
from kivfm_core.layers.intermediate import as_map, tapped
from kivfm_core.layers.resize import resize
from kivfm_core.predictions import Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.run_files import BUNDLE
from kivfm_core.spec import Attachment, Level, TeacherSpec, Weights
from kivfm_core.student.stand_in import StandIn
from kivfm_core.teacher import Decoders, Levels

Features = dict[str, Tensor]


class Student(nn.Module):
    """One encoder that speaks every teacher's levels.

    Its features are `x [B, D]`, `V [B, D, h, w]`, and the adapter's finer maps. Every aligner
    reads these, and they alone are what probes measure.
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
        # What the decoders get wrong of what an untrained student says: fitted, for the loss.
        self.register_buffer("readout_units", torch.ones(len(composition.teachers)))
        self.spec = student_spec(composition)
        if composition.kept:
            self._freeze_kept()

    def _freeze_kept(self) -> None:
        # What a kept teacher's stand-in reads cannot change, so it says the same bit for bit.
        self.requires_grad_(False)
        self.extensions[-1].requires_grad_(True)
        for spec in self.composition.learned:
            for plan in self.composition.of(spec.name):
                self.aligners[plan.key].requires_grad_(True)

    def take_over(self, earlier: Student) -> None:
        """Takes all that an earlier student knows, whose composition this one's extends.

        Raises:
            ValueError: If it knows something that has no place here.
        """
        state = earlier.state_dict()
        units = state.pop("readout_units")
        homeless = self.load_state_dict(state, strict=False).unexpected_keys
        if homeless:
            raise ValueError(f"no place for {', '.join(homeless)} of the earlier student")
        self.readout_units[: len(units)] = units
        self.decoders |= earlier.decoders

    def forget(self, teachers: Sequence[str]) -> None:
        """Stands in for these teachers as an untrained student does."""
        for plan in self.composition.aligners:
            if plan.teacher in teachers:
                self.aligner(plan.teacher, plan.level.name).forget()
        adapter = self.adapter
        if self.composition.base in teachers and isinstance(
            adapter, InnerAdapter | FullAdapter | SideAdapter
        ):
            adapter.forget()

    def train(self, mode: bool = True) -> Student:
        """Like any module's, but a frozen trunk stays in evaluation mode."""
        super().train(mode)
        if self.adapter is not None:
            self.trunk.eval()
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes what is trained again for the gradient, rather than keep its activations."""
        trained = [*self.extensions, *self.aligners.values()]
        trained += [self.adapter] if self.adapter is not None else [*self.trunk.modules()]
        for part in trained:
            if hasattr(part, "set_grad_checkpointing"):
                cast(Any, part).set_grad_checkpointing(enable)

    def aligner(self, teacher: str, level: str) -> Aligner:
        """The aligner of one teacher's level."""
        plan = next(p for p in self.composition.of(teacher) if p.level.name == level)
        return cast(Aligner, self.aligners[plan.key])

    def _apply(self, fn: Any, recurse: bool = True) -> Student:
        # Decoders follow to a device or precision, yet are no part of the student's own state.
        for decoders in self.decoders.values():
            decoders._apply(fn, recurse)  # pyright: ignore[reportPrivateUsage]
        return cast(Student, super()._apply(fn, recurse))

    def trained(self) -> dict[str, Tensor]:
        """All that distillation made: parameters and fitted buffers, without a frozen trunk."""
        frozen = "trunk." if self.adapter is not None else "\0"
        return {k: v for k, v in self.state_dict().items() if not k.startswith(frozen)}

    def forward(self, x: Tensor) -> Features:
        """The student's features of normalized canvases `[B, 3, H, W]`."""
        return self.adapt(x, self.ask_trunk(x))

    def adapt(self, x: Tensor, trunk: Features) -> Features:
        """The student's features, from canvases and what `ask_trunk` said about them."""
        if self.adapter is None:
            return trunk
        maps = [trunk[name] for name in sorted(trunk) if name.startswith("tap")]
        features = {"x": trunk["x"], "V": trunk["V"]}
        if isinstance(self.adapter, InnerAdapter):
            with self.adapter.attached(self.trunk):
                features |= self._ask(x, ())
        elif isinstance(self.adapter, FullAdapter):
            features |= self._ask(x, (), partial(self.adapter, self.trunk))
        for adapter in (self.adapter, *self.extensions):
            if isinstance(adapter, SideAdapter):
                features |= adapter(x, maps, trunk)
        return features

    def ask_trunk(self, x: Tensor) -> Features:
        """What the trunk says, without the adapter.

        Args:
            x: Normalized canvases `[B, 3, H, W]`; the trunk sees them at its own input size.

        Returns:
            `x [B, D]`, `V [B, D, h, w]` on the canvas's grid, and the attachments' maps `tap0`,
            `tap1`, ... `[B, C, h', w']` on the trunk's.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.adapter is None):
            return self._ask(x, self.composition.taps)

    def _ask(
        self, x: Tensor, taps: Sequence[Attachment],
        trunk: Callable[[Tensor], Features] | None = None,
    ) -> Features:  # fmt: skip
        plan = self.composition
        v_level = plan.trunk.level(plan.v_level)
        side = plan.trunk_input((x.shape[-2], x.shape[-1]))
        with tapped(self.trunk, [tap.module for tap in taps]) as outputs:
            levels = (trunk or self.trunk)(resize(x, side))
        v = resize(levels[plan.v_level], v_level.grid((x.shape[-2], x.shape[-1])))
        out = {"x": levels[plan.x_level] if plan.x_level else v.mean((2, 3)), "V": v}
        for i, tap in enumerate(taps):
            grid = side[0] // tap.stride, side[1] // tap.stride
            out[f"tap{i}"] = as_map(outputs[tap.module], tap, grid)
        return out

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """The student's own features as levels, of canvases `[B, 3, H, W]` in [0, 1]."""
        with torch.no_grad():
            return Levels(self(normalize(images, self.spec.input)), frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """A student has no decoders of its own; its stand-ins have."""
        raise UsageError(f"a student solves {task} as a stand-in", "student.stand_in(TEACHER)")

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """A student has no decoders of its own; its stand-ins have."""
        raise UsageError(f"a student solves {task} as a stand-in", "student.stand_in(TEACHER)")

    def stand_in(self, teacher: str) -> StandIn:
        """The student dressed as a teacher.

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
    """The spec under which the student itself is a teacher, with its own features as levels."""
    maps = tuple(Level(kind="dense", **m.model_dump()) for m in composition.maps)
    return composition.trunk.model_copy(
        update={
            "name": "student",
            "aliases": (),
            "role": "general",
            "summary": f"distilled from {', '.join(s.name for s in composition.teachers)}",
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
    """Builds a student as a teacher's encoder, from the composition in its spec."""
    return Student(Composition.model_validate(spec.config["composition"]))


def split(spec: TeacherSpec, state: Mapping[str, Tensor]) -> dict[str, Mapping[str, Tensor]]:
    """A bundle's state is the encoder's."""
    return {"encoder": state}


def load_student(run: str | Path) -> Student:
    """Loads the student of a run folder, with the decoders of all its teachers.

    Raises:
        UsageError: If the folder holds no student.
        PluginError: If a teacher's plugin is missing.
    """
    from kivfm_core.student.bundle import read_bundle

    return read_bundle(Path(run) / BUNDLE)
