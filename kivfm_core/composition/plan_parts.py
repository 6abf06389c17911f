"""What a student gets beside its trunk: adapters, and an aligner for every level. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import sqrt

from kivfm_core.adapters import AnyPlan, MapPlan, plan_adapter, plan_side
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.config import LatentMap, RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.recipes.recipe import RECIPES, Target
from kivfm_core.spec import Level, TeacherSpec


def plan_adapters(
    config: RunConfig,
    base: TeacherSpec,
    x_channels: int,
    v: MapPlan,
    teachers: Sequence[TeacherSpec],
) -> tuple[AnyPlan, ...]:
    """One adapter that all teachers share, or one for each, as the recipe says.

    Those of a teacher alone are narrower, so that all together have about as many parameters, and
    leave x and V as they are.

    Args:
        config: The run's.
        base: Whose encoder is the trunk.
        x_channels: Channels of the base's global level.
        v: The base's dense level.
        teachers: All but the base.

    Raises:
        UsageError: If the kind of adapter does not suit the base, or the recipe.
    """
    kind, width, attachments = config.student.adapter, config.student.width, base.attachments
    shared = plan_adapter(
        kind, attachments, x_channels, v, finest(teachers, v), width, base.parameters
    )
    if RECIPES[config.recipe].adapters == "one" or not teachers:
        return (shared,)
    if shared.kind != "side":
        raise UsageError(
            f"with recipe {config.recipe} each teacher has a side adapter of its own",
            "--set student.adapter=side",
        )
    width = max(32, round(shared.widths[shared.entry] / sqrt(len(teachers))) // 8 * 8)
    return tuple(
        plan_side(attachments, x_channels, v, finest([spec], v), width).numbered(i)
        for i, spec in enumerate(teachers)
    )


def finest(teachers: Sequence[TeacherSpec], v: MapPlan) -> int:
    """The finest stride that one of these teachers has, in pixels; V's if they have none."""
    strides = [level.stride for spec in teachers for level in spec.levels if level.stride]
    return min(strides, default=v.stride)


def plan_aligners(
    config: RunConfig,
    teachers: Sequence[TeacherSpec],
    base: TeacherSpec | None,
    reads: Mapping[str, Sequence[MapPlan]],
    x_channels: int,
    natives: Collection[str],
) -> tuple[AlignerPlan, ...]:
    """One for every level, the identity for the base's levels that are the student's own.

    Args:
        config: The run's.
        teachers: Whose levels.
        base: The one that is the trunk.
        reads: The student's dense maps that each teacher's aligners read.
        x_channels: Channels of the student's global feature.
        natives: Names of the base's levels that are the student's own.

    Raises:
        UsageError: If two levels' names differ by punctuation only.
    """
    student, recipe = config.student, RECIPES[config.recipe]
    aligners = tuple(
        AlignerPlan(
            kind="identity" if spec is base and level.name in natives else "latent",
            teacher=spec.name,
            level=level,
            maps={plan.name: plan.channels for plan in reads[spec.name]},
            x_channels=x_channels,
            hidden=min(student.hidden, 2 * level.channels),
            latent=_coordinates(level, recipe.match(level.kind).target, student.latent),
            target=_target(recipe.match(level.kind).target, student.latent_map),
            projector=recipe.projector,
        )
        for spec in teachers
        for level in spec.levels
    )
    keys = [aligner.key for aligner in aligners]
    if len(set(keys)) < len(keys):
        raise UsageError("two teachers' names differ by punctuation only", "leave one out")
    return aligners


def _target(target: Target, latent_map: LatentMap) -> Target:
    return "learned" if target == "principal" and latent_map == "learned" else target


def _coordinates(level: Level, target: Target, latent: int) -> int:
    # A picture gives one global vector: too few to tell its weak axes from noise.
    narrowed = level.kind == "dense" and target == "principal"
    return min(level.channels, latent) if narrowed else level.channels
