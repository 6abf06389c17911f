"""From a configuration's names to a composition, before any weight is touched.

Torch-free: `kivfm compose` shows in an instant what `kivfm distill` would build.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kivfm_core.aligners.joint_plan import PLACES
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.composition.choose_base import choose_base
from kivfm_core.composition.composition import Composition, read_composition
from kivfm_core.composition.plan_parts import (
    features_of,
    find_features,
    plan_adapters,
    plan_aligners,
    plan_extension,
    plan_shared_head,
)
from kivfm_core.config import EngineConfig, RunConfig
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.config.sections import RANDOM
from kivfm_core.errors import UsageError
from kivfm_core.recipes.table import RECIPES
from kivfm_core.registry.heads import is_head
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.students import is_student
from kivfm_core.spec import TeacherSpec


def compose(config: RunConfig) -> Composition:
    """Plans the student of a configuration.

    Raises:
        UsageError: If a name is unknown, there is no base, or settings do not go together.
        PluginError: If a selected teacher's plugin is missing or broken.
    """
    start = config.student.start
    earlier = read_composition(Path(start)) if start is not None else None
    teachers = _select(config, earlier)
    if config.student.model and config.student.base:
        raise UsageError("a student that is trained in full has no base", "leave out --base")
    if config.student.weights and not config.student.model:
        raise UsageError(
            "--student-weights is for a student that is trained in full",
            "--student timm/resnet18; a base takes --weights NAME=FILE",
        )
    if earlier is not None:
        assign_weights(config.weights, teachers)
        planned = _extend(config, teachers, earlier)
    else:
        base = None if config.student.model else choose_base(config, teachers)
        trunk = base or _backbone(str(config.student.model))
        assign_weights(config.weights, teachers)
        planned = _plan(config, teachers, base, trunk)
    check_engine(config.engine, planned)
    return planned


def _select(config: RunConfig, earlier: Composition | None) -> list[TeacherSpec]:
    """The specs of the configuration's teachers, in its order.

    Students that taught an earlier student, and its heads, are known from it.
    """
    registry = get_registry()
    names = [choice.name for choice in config.teachers]
    if names == ["installed"]:
        teachers = list(registry.usable())
    else:
        before = earlier.teachers if earlier else ()
        known = {spec.name: spec for spec in before if is_student(spec) or is_head(spec)}
        teachers = [known.get(name) or registry.resolve(name, config.variant) for name in names]
    if not teachers:
        raise UsageError("no teacher's weights are here", "pip install kivfm-nano")
    resolved = [spec.name for spec in teachers]
    repeated = sorted({name for name in resolved if resolved.count(name) > 1})
    if repeated:
        raise UsageError(
            f"teachers named twice: {', '.join(repeated)}",
            "rename one of the runs"
            if any(map(is_student, teachers))
            else f"--teachers {','.join(dict.fromkeys(resolved))}",
        )
    return teachers


def _backbone(name: str) -> TeacherSpec:
    """The spec of a trunk that is trained in full."""
    try:
        spec = get_registry().resolve(name)
    except UsageError as error:
        if "/" in name or "::" in name:
            raise
        raise UsageError(f"no student is named {name!r}", f"--student timm/{name}") from error
    if is_student(spec):
        raise UsageError(
            f"{name} is a student: it can teach, and cannot be trained in full",
            "--student timm/resnet18",
        )
    return spec


def _starts_from_weights(given: str | None, trunk: TeacherSpec) -> bool:
    """Whether a trunk that is trained in full starts from weights: a file, or published ones."""
    if given is not None:
        return given != RANDOM
    own = trunk.weights
    published = own.source.startswith("hf:") or own.fetch is not None
    return published or get_registry().weights_here(trunk)


def check_engine(engine: EngineConfig, composition: Composition) -> None:
    """Refuses what cannot be done with shards, or with changes inside the base.

    Raises:
        UsageError: If a setting cannot take effect.
    """
    if engine.sharded and engine.compile != "off":
        raise UsageError("compile cannot follow fsdp", "--set engine.compile=off")
    if engine.sharded and engine.precision == "16-mixed":
        raise UsageError("fsdp cannot scale gradients", "--precision bf16-mixed")
    if composition.adapter is None or not composition.adapter.changes_base:
        return
    inside = f"{composition.adapter.kind} changes inside the base"
    if engine.compile != "off":
        raise UsageError(f"compile cannot follow {inside}", "--set engine.compile=off")
    # The changes come off after the pass, before a block could be computed again for the gradient.
    if engine.activation_checkpointing and not composition.frozen_teachers:
        raise UsageError(
            f"activation checkpointing cannot follow {inside}",
            "--set engine.activation_checkpointing=false --set optim.micro_batch=1",
        )


def _plan(
    config: RunConfig, teachers: list[TeacherSpec], base: TeacherSpec | None, trunk: TeacherSpec
) -> Composition:
    """A student on a base, or of a trunk that is trained in full."""
    features = find_features(trunk)
    others = [spec for spec in teachers if spec is not base]
    adapters = plan_adapters(config, features, others) if base is not None else ()
    image_size = _image_size(config, teachers)
    if min(image_size) < features.v.stride:
        raise UsageError(
            f"a canvas of {min(image_size)} pixels is smaller than the stride of {trunk.name}",
            f"--image-size {8 * features.v.stride}",
        )
    every = (features.v, *(plan for adapter in adapters for plan in adapter.maps))
    maps = {spec.name: every for spec in teachers}
    if len(adapters) > 1:  # one for each: its maps are read by that teacher's aligners alone
        own = zip(others, adapters, strict=True)
        maps |= {spec.name: (features.v, *adapter.maps) for spec, adapter in own}
    head = plan_shared_head(config, teachers, every, features.x_channels)
    shared = head.shared if head else 0
    aligners: list[AlignerPlan] = []
    for spec in teachers:
        levels = features.levels if spec is base else ()
        read = maps[spec.name]
        aligners += plan_aligners(config, spec, read, features.x_channels, levels, shared)
    return _checked(
        Composition(
            teachers=tuple(teachers),
            base=base.name if base else None,
            trunk=trunk,
            trunk_size=config.student.trunk_size or trunk.input.train_side(),
            x_level=features.x_level.name if features.x_level else None,
            v_level=features.v_level.name,
            adapter=adapters[0] if adapters else None,
            extensions=adapters[1:],
            aligners=tuple(aligners),
            shared_head=head,
            image_size=image_size,
            teacher_size=config.data.teacher_size,
            pretrained=base is None and _starts_from_weights(config.student.weights, trunk),
        )
    )


def _extend(
    config: RunConfig, teachers: Sequence[TeacherSpec], earlier: Composition
) -> Composition:
    """An earlier student with further teachers: one more adapter, more aligners, the rest as is."""
    _check_extension(config, teachers, earlier)
    known = tuple(spec.name for spec in earlier.teachers)
    added = teachers[len(known) :]
    features = features_of(earlier)
    # Not their count: a teacher that was removed may have taken its extension with it.
    number = 1 + max((adapter.number for adapter in earlier.extensions), default=0)
    extension = plan_extension(config, features, added, number)
    aligners, maps = list(earlier.aligners), (*earlier.maps, *extension.maps)
    head = earlier.shared_head if RECIPES[config.recipe].shared else None
    if head:  # by a fitted map: what is trained beside it reads all others
        maps = tuple(one for one in maps if one.name != PLACES)
    for spec in added:
        shared = head.shared if head else 0
        aligners += plan_aligners(config, spec, maps, earlier.x_channels, shared=shared)
    return _checked(
        earlier.model_copy(
            update={
                "teachers": (*earlier.teachers, *added),
                "extensions": (*earlier.extensions, extension),
                "kept": known,
                "aligners": tuple(aligners),
                "image_size": _image_size(config, added),
                "teacher_size": config.data.teacher_size,
            }
        )
    )


def _check_extension(
    config: RunConfig, teachers: Sequence[TeacherSpec], earlier: Composition
) -> None:
    """Refuses to add teachers where that cannot be done.

    Raises:
        UsageError: If the student to start from has no place for them, or they are none.
    """
    if RECIPES[config.recipe].shared and earlier.shared_head is None:
        raise UsageError(
            f"recipe {config.recipe} needs a space that teachers share: the student to start from "
            "has none",
            "--recipe kpu, or start from a run of kpu-joint",
        )
    known = tuple(spec.name for spec in earlier.teachers)
    if earlier.adapter is None:
        raise UsageError(
            "a student trained in full has no base to extend", "start from another run"
        )
    if earlier.trains_trunk:
        # What a frozen base gives is cached by its published weights.
        raise UsageError(
            "the base of the student to start from was trained with a head (--unfreeze all)",
            "start from the run that the head was put on",
        )
    if [spec.name for spec in teachers[: len(known)]] != list(known) or len(teachers) == len(known):
        raise UsageError(
            f"the student to start from has learned {', '.join(known)}",
            "kivfm distill --from RUN --add-teacher NAME",
        )


def _checked(composition: Composition) -> Composition:
    """With the scales of the teachers that are learned from; frozen ones keep theirs.

    Raises:
        UsageError: If two aligners would have one key.
    """
    keys = [aligner.key for aligner in composition.aligners]
    if len(set(keys)) < len(keys):
        raise UsageError("two teachers' names differ by punctuation only", "leave one out")
    if composition.teacher_size is None:
        return composition
    largest = max(composition.image_size)
    scales = {
        spec.name: largest / composition.side(spec)
        for spec in composition.learned
        if spec.name in composition.teachers_to_run
    }
    return composition.model_copy(update={"scales": {**composition.scales, **scales}})


def _image_size(config: RunConfig, teachers: Sequence[TeacherSpec]) -> tuple[int, ...]:
    return config.data.image_size or tuple(sorted({s.input.train_side() for s in teachers}))
