"""From specs to a composition: the student's parts, shapes and costs, before any weight is touched.

Torch-free: `kivfm compose` prints in a blink what `kivfm distill` is going to build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kivfm_core.adapters.plan import AdapterPlan, MapPlan, plan_adapter
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.licenses import inherited
from kivfm_core.registry import get_registry
from kivfm_core.spec import Level, Record, TeacherSpec


class Composition(Record):
    """All that a student is made of; enough to build it.

    Attributes:
        teachers: The resolved specs, in the order given.
        base: Name of the teacher whose frozen encoder is the trunk; None if trained from scratch.
        trunk: Spec of the student's encoder: the base's, or the `--student` backbone's.
        trunk_size: Side of the square whose area the trunk's input gets, in pixels.
        x_level: The trunk's level that is the student's global feature x; None: V averaged.
        v_level: The trunk's level that is the student's dense map V.
        adapter: None on a backbone trained from scratch.
        aligners: One for every level of every teacher.
        image_size: Sides of the student's canvases in training, in pixels.
    """

    teachers: tuple[TeacherSpec, ...]
    base: str | None
    trunk: TeacherSpec
    trunk_size: int
    x_level: str | None
    v_level: str
    adapter: AdapterPlan | None
    aligners: tuple[AlignerPlan, ...]
    image_size: tuple[int, ...]

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The student's dense maps: V, then the adapter's."""
        level = self.trunk.level(self.v_level)
        v = _v_plan(level)
        return (v, *(self.adapter.maps if self.adapter else ()))

    @property
    def x_channels(self) -> int:
        """Channels of the student's global feature x."""
        return self.trunk.level(self.x_level or self.v_level).channels

    @property
    def trainable(self) -> int:
        """Parameters that distillation makes, fitted maps to teachers' levels included."""
        adapter = self.adapter.parameters if self.adapter else self.trunk.parameters
        return adapter + sum(aligner.parameters for aligner in self.aligners)

    @property
    def total(self) -> int:
        """Parameters of the student without the teachers' decoders."""
        return self.trainable + (self.trunk.parameters if self.adapter else 0)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know before starting."""
        notes = [
            f"{spec.name}: its weights' license ({spec.weights.license}) "
            + ("forbids commercial use" if use == "no" else "does not say what it allows")
            for spec in self.teachers
            if (use := spec.weights.commercial_use) != "yes"
        ]
        if all(spec.role != "general" for spec in self.teachers):
            notes.append("no general teacher: what is not in the purpose teachers is not kept")
        return tuple(notes)

    def side(self, teacher: TeacherSpec) -> int:
        """The side of a teacher's canvases in training, in pixels."""
        return teacher.input.train_side(max(self.image_size))

    def of(self, teacher: str) -> tuple[AlignerPlan, ...]:
        """The aligners of one teacher."""
        return tuple(aligner for aligner in self.aligners if aligner.teacher == teacher)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data: parts, parameters, costs, licenses, warnings."""
        terms = inherited(self.teachers)
        return {
            "schema": 1,
            "teachers": [spec.name for spec in self.teachers],
            "base": self.base,
            "trunk": {"name": self.trunk.name, "parameters": self.trunk.parameters},
            "image_size": list(self.image_size),
            "trunk_size": self.trunk_size,
            "features": {
                "x": [self.x_channels],
                **{m.name: [m.channels, f"/{m.stride}"] for m in self.maps},
            },
            "adapter": None
            if self.adapter is None
            else {
                "kind": self.adapter.kind,
                "taps": [tap.module for tap in self.adapter.taps],
                "strides": list(self.adapter.strides),
                "widths": list(self.adapter.widths),
                "parameters": self.adapter.parameters,
            },
            "aligners": [
                {
                    "teacher": a.teacher,
                    "level": a.level.name,
                    "kind": a.kind,
                    "shape": [a.level.channels]
                    + ([f"/{a.level.stride}"] if a.level.stride else []),
                    "reads": a.inputs,
                    "latent": a.latent,
                    "parameters": a.parameters,
                }
                for a in self.aligners
            ],
            "parameters": {
                "trainable": self.trainable,
                "total": self.total,
                "share": self.trainable / self.total,
            },
            "cost": _cost(self),
            "downloads": [
                {"teacher": s.name, "source": s.weights.source, "bytes": s.weights.bytes}
                for s in self.teachers
                if not get_registry().weights_here(s)
            ],
            "license": terms.as_dict(),
            "warnings": list(self.warnings),
        }


def _v_plan(level: Level) -> MapPlan:
    stride = _stride(level)
    return MapPlan(name="V", channels=level.channels, stride=stride, rounding=level.rounding)


def _stride(level: Level) -> int:
    if level.stride is None:
        raise ValueError(f"level {level.name!r} is not dense")
    return level.stride


def _cost(composition: Composition) -> dict[str, float]:
    """Estimates, good to a factor of two or so.

    A pass costs parameters x cells of the coarsest dense level multiply-adds (exact for a
    transformer's linear layers); the backward pass twice that, in the trained part alone.
    """

    def gmacs(spec: TeacherSpec, side: int) -> float:
        strides = [_stride(level) for level in spec.levels if level.kind == "dense"]
        return spec.parameters * (side // max(strides, default=side)) ** 2 / 1e9

    largest = max(composition.image_size)
    teachers = sum(gmacs(s, composition.side(s)) for s in composition.teachers)
    trunk = gmacs(composition.trunk, composition.trunk_size)
    share = composition.trainable * (largest // composition.maps[0].stride) ** 2 / 1e9
    weights = 4 * (composition.total + sum(s.parameters for s in composition.teachers))
    return {
        "teachers_gmacs_per_image": round(teachers, 2),
        "student_gmacs_per_image": round(trunk + share, 2),
        "training_gmacs_per_image": round(teachers + trunk + 3 * share, 2),
        "weights_bytes": weights,
        "optimizer_bytes": 12 * composition.trainable,
    }


def compose(config: RunConfig) -> Composition:
    """Plans the student of a configuration.

    Raises:
        UsageError: If a name is unknown, or there is no base.
        PluginError: If a selected teacher's plugin is missing or broken.
    """
    registry = get_registry()
    names = [choice.name for choice in config.teachers]
    if names == ["installed"]:
        teachers = list(registry.usable())
    else:
        teachers = [registry.resolve(name, config.variant) for name in names]
    if not teachers:
        raise UsageError("no teacher's weights are here", "pip install kivfm-nano")
    if config.student.model and config.student.base:
        raise UsageError("a student trained from scratch has no base", "leave out --base")
    seen = [spec.name for spec in teachers]
    repeated = sorted({name for name in seen if seen.count(name) > 1})
    if repeated:
        raise UsageError(f"teachers named twice: {', '.join(repeated)}")
    base = None if config.student.model else _base(config, teachers)
    trunk = base or registry.resolve(str(config.student.model))
    if base is not None and not base.attachments:
        raise UsageError(f"{base.name} has no attachment points, so it cannot be the base",
                         "choose another with --base NAME")  # fmt: skip
    assign_weights(config.weights, teachers)
    return _plan(config, teachers, base, trunk)


def assign_weights(weights: Mapping[str, str], teachers: Sequence[TeacherSpec]) -> dict[str, str]:
    """The files given with `--weights`, by the teachers' full names.

    Args:
        weights: By any name of a teacher; a family's if one of it is selected.
        teachers: The selected.

    Raises:
        UsageError: If a name is no selected teacher's, or two files are given for one.
    """
    assigned: dict[str, str] = {}
    for name, file in weights.items():
        exact = [s for s in teachers if name in (s.name, *s.aliases)]
        found = exact or [s for s in teachers if s.family == name]
        if len(found) != 1:
            chosen = ", ".join(spec.name for spec in teachers)
            raise UsageError(
                f"--weights {name}=...: {len(found)} of the selected teachers have this name",
                f"one of: {chosen}",
            )
        if found[0].name in assigned:
            raise UsageError(f"two weights files are given for {found[0].name}", "give one")
        assigned[found[0].name] = file
    return assigned


def _base(config: RunConfig, teachers: list[TeacherSpec]) -> TeacherSpec:
    if config.student.base is not None:
        name = get_registry().resolve(config.student.base, config.variant).name
        chosen = next((spec for spec in teachers if spec.name == name), None)
        if chosen is None:
            raise UsageError(
                f"the base {name} is not among the teachers",
                f"--teachers {name},{','.join(spec.name for spec in teachers)}",
            )
        return chosen
    general = [spec for spec in teachers if spec.role == "general"]
    if not general:
        names = ",".join(spec.name for spec in teachers)
        raise UsageError(
            "no general teacher is selected, so the student has no base",
            f"--teachers dino,{names}, or name a base among them: --base {teachers[0].name}",
        )
    return general[0]


def _plan(
    config: RunConfig, teachers: list[TeacherSpec], base: TeacherSpec | None, trunk: TeacherSpec
) -> Composition:
    student = config.student
    dense = [level for level in trunk.levels if level.kind == "dense"]
    if not dense:
        raise UsageError(f"{trunk.name} has no dense level, so it cannot be the student's trunk")
    v_level = dense[-1]
    x_level = next((level for level in trunk.levels if level.kind == "global"), None)
    v = _v_plan(v_level)
    x_channels = (x_level or v_level).channels
    adapter = None
    if base is not None:
        strides = [lv.stride for s in teachers if s is not base for lv in s.levels if lv.stride]
        finest = min(strides, default=v.stride)
        adapter = plan_adapter(trunk.attachments, x_channels, v, finest, student.width)
    maps = (v, *(adapter.maps if adapter else ()))
    natives = {level.name for level in (x_level, v_level) if level}
    aligners = tuple(
        AlignerPlan(
            kind="identity" if spec is base and level.name in natives else "latent",
            teacher=spec.name,
            level=level,
            maps={plan.name: plan.channels for plan in maps},
            x_channels=x_channels,
            hidden=min(student.hidden, 2 * level.channels),
            # A picture gives one global vector: too few to tell its weak axes from noise.
            latent=level.channels
            if level.kind == "global"
            else min(level.channels, student.latent),
        )
        for spec in teachers
        for level in spec.levels
    )
    keys = [aligner.key for aligner in aligners]
    if len(set(keys)) < len(keys):
        raise UsageError("two teachers' names differ by punctuation only", "leave one out")
    sizes = {spec.input.train_side() for spec in teachers}
    image_size = config.data.image_size or tuple(sorted(sizes))
    if min(image_size) < v.stride:
        raise UsageError(
            f"a canvas of {min(image_size)} pixels is smaller than the stride of {trunk.name}",
            f"--image-size {8 * v.stride}",
        )
    return Composition(
        teachers=tuple(teachers),
        base=base.name if base else None,
        trunk=trunk,
        trunk_size=student.trunk_size or trunk.input.train_side(),
        x_level=x_level.name if x_level else None,
        v_level=v_level.name,
        adapter=adapter,
        aligners=aligners,
        image_size=image_size,
    )
