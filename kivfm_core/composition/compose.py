"""From a configuration's names to a composition, before any weight is touched.

Torch-free: `kivfm compose` prints in a blink what `kivfm distill` is going to build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kivfm_core.adapters import AnyPlan, FullPlan, InnerPlan, SidePlan, plan_side
from kivfm_core.composition.choose_base import choose_base
from kivfm_core.composition.composition import Composition, read_composition, v_plan
from kivfm_core.composition.plan_parts import finest, plan_adapters, plan_aligners
from kivfm_core.config import EngineConfig, RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import TeacherSpec


def compose(config: RunConfig) -> Composition:
    """Plans the student of a configuration.

    Raises:
        UsageError: If a name is unknown, there is no base, or settings do not go together.
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
        raise UsageError(
            f"teachers named twice: {', '.join(repeated)}",
            f"--teachers {','.join(dict.fromkeys(seen))}",
        )
    if config.student.start is not None:
        assign_weights(config.weights, teachers)
        made = _extend(config, teachers, read_composition(Path(config.student.start)))
    else:
        base = None if config.student.model else choose_base(config, teachers)
        trunk = base or registry.resolve(str(config.student.model))
        assign_weights(config.weights, teachers)
        made = _plan(config, teachers, base, trunk)
    check_engine(config.engine, made)
    return made


def check_engine(engine: EngineConfig, made: Composition) -> None:
    """Refuses what cannot be done with shards, or with changes inside the base.

    Raises:
        UsageError: If a setting would not do what it says.
    """
    if engine.sharded and engine.compile != "off":
        raise UsageError("compile cannot follow fsdp", "--set engine.compile=off")
    if engine.sharded and engine.precision == "16-mixed":
        raise UsageError("fsdp cannot scale gradients", "--precision bf16-mixed")
    if not isinstance(made.adapter, InnerPlan | FullPlan):
        return
    inside = f"{made.adapter.kind} changes inside the base"
    if engine.compile != "off":
        raise UsageError(f"compile cannot follow {inside}", "--set engine.compile=off")
    # They come off after the pass, before a block could be computed again for the gradient.
    if engine.activation_checkpointing and not made.kept:
        raise UsageError(
            f"activation checkpointing cannot follow {inside}",
            "--set engine.activation_checkpointing=false --set optim.micro_batch=1",
        )


def assign_weights(weights: Mapping[str, str], teachers: Sequence[TeacherSpec]) -> dict[str, str]:
    """The files given with `--weights`, by the teachers' full names.

    Args:
        weights: By any name of a teacher; a family's if one of it is selected.
        teachers: The selected.

    Raises:
        UsageError: If a name is no selected teacher's, or two files are given for one.
    """
    assigned: dict[str, str] = {}
    for given, file in weights.items():
        name = given.rpartition("::")[2]  # a pin says whose teacher it is, and one is selected
        exact = [s for s in teachers if name in (s.name, *s.aliases)]
        found = exact or [s for s in teachers if s.family == name]
        if len(found) != 1:
            chosen = ", ".join(spec.name for spec in teachers)
            raise UsageError(
                f"--weights {given}=...: {len(found)} of the selected teachers have this name",
                f"one of: {chosen}",
            )
        if found[0].name in assigned:
            raise UsageError(f"two weights files are given for {found[0].name}", "give one")
        assigned[found[0].name] = file
    return assigned


def _plan(
    config: RunConfig, teachers: list[TeacherSpec], base: TeacherSpec | None, trunk: TeacherSpec
) -> Composition:
    student = config.student
    dense = [level for level in trunk.levels if level.kind == "dense"]
    if not dense:
        raise UsageError(
            f"{trunk.name} has no dense level, so it cannot be the student's trunk",
            "--student timm/resnet18",
        )
    v_level = dense[-1]
    x_level = next((level for level in trunk.levels if level.kind == "global"), None)
    v = v_plan(v_level)
    x_channels = (x_level or v_level).channels
    adapters: tuple[AnyPlan, ...] = ()
    purpose = [spec for spec in teachers if spec is not base]
    if base is not None:
        adapters = plan_adapters(config, trunk, x_channels, v, purpose)
    maps = (v, *(plan for adapter in adapters for plan in adapter.maps))
    reads = {spec.name: maps for spec in teachers}
    if len(adapters) > 1:
        reads |= {s.name: (v, *a.maps) for s, a in zip(purpose, adapters, strict=True)}
    natives = {level.name for level in (x_level, v_level) if level}
    aligners = plan_aligners(config, teachers, base, reads, x_channels, natives)
    image_size = _image_size(config, teachers)
    if min(image_size) < v.stride:
        raise UsageError(
            f"a canvas of {min(image_size)} pixels is smaller than the stride of {trunk.name}",
            f"--image-size {8 * v.stride}",
        )
    made = Composition(
        teachers=tuple(teachers),
        base=base.name if base else None,
        trunk=trunk,
        trunk_size=student.trunk_size or trunk.input.train_side(),
        x_level=x_level.name if x_level else None,
        v_level=v_level.name,
        adapter=adapters[0] if adapters else None,
        extensions=tuple(plan for plan in adapters[1:] if isinstance(plan, SidePlan)),
        aligners=aligners,
        image_size=image_size,
        teacher_size=config.data.teacher_size,
    )
    return _scaled(made)


def _extend(
    config: RunConfig, teachers: Sequence[TeacherSpec], earlier: Composition
) -> Composition:
    """An earlier student with further teachers: an adapter and aligners more, the rest as it is."""
    kept = tuple(spec.name for spec in earlier.teachers)
    added = [spec for spec in teachers if spec.name not in kept]
    if earlier.adapter is None:
        raise UsageError(
            "a student trained in full has no base to extend", "start from another run"
        )
    if [spec.name for spec in teachers[: len(kept)]] != list(kept) or not added:
        raise UsageError(
            f"the student to start from knows {', '.join(kept)}",
            "kivfm distill --from RUN --add-teacher NAME",
        )
    v = v_plan(earlier.trunk.level(earlier.v_level))
    # Beside other kinds of adapters a width is the rank of branches, and none are added.
    width = config.student.width if config.student.adapter == "side" else None
    taps = earlier.trunk.attachments
    # Not their count: a teacher that was removed may have taken its extension with it.
    number = 1 + max((adapter.number for adapter in earlier.extensions), default=0)
    plan = plan_side(taps, earlier.x_channels, v, finest(added, v), width).numbered(number)
    reads = {spec.name: (*earlier.maps, *plan.maps) for spec in added}
    made = earlier.model_copy(
        update={
            "teachers": (*earlier.teachers, *added),
            "extensions": (*earlier.extensions, plan),
            "kept": kept,
            "aligners": (
                *earlier.aligners,
                *plan_aligners(config, added, None, reads, earlier.x_channels, set()),
            ),
            "image_size": _image_size(config, added),
            "teacher_size": config.data.teacher_size,
        }
    )
    return _scaled(made)


def _scaled(made: Composition) -> Composition:
    """With the scales of the teachers that are asked; those that are kept keep theirs."""
    if made.teacher_size is None:
        return made
    asked = {spec.name: spec for spec in made.learned if spec.name in made.asked}
    scales = {name: max(made.image_size) / made.side(spec) for name, spec in asked.items()}
    return made.model_copy(update={"scales": {**made.scales, **scales}})


def _image_size(config: RunConfig, teachers: Sequence[TeacherSpec]) -> tuple[int, ...]:
    return config.data.image_size or tuple(sorted({s.input.train_side() for s in teachers}))
