"""What a student gets beside its trunk: adapters, and an aligner for every level. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest, MapPlan
from kivfm_core.adapters.table import EXTENSION, plan_adapter
from kivfm_core.aligners.joint_plan import IMAGE, PLACES
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.aligners.projector_plan import ProjectorPlan
from kivfm_core.aligners.shared_head_plan import SharedHeadPlan
from kivfm_core.aligners.table import aligner_kind
from kivfm_core.composition.composition import Composition, map_plan, v_plan
from kivfm_core.config import LatentMap, RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.recipes.recipe import Target
from kivfm_core.recipes.table import RECIPES
from kivfm_core.spec import Level, TeacherSpec


@dataclass(frozen=True)
class TrunkFeatures:
    """What a trunk offers: the student's own features, before any adapter.

    Attributes:
        trunk: Spec of the student's encoder.
        x_level: Its level that is the global feature x; None: V averaged.
        v_level: Its level that is the dense map V.
    """

    trunk: TeacherSpec
    x_level: Level | None
    v_level: Level

    @property
    def x_channels(self) -> int:
        """Channels of x."""
        return (self.x_level or self.v_level).channels

    @property
    def v(self) -> MapPlan:
        """The dense map V."""
        return v_plan(self.v_level)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the trunk's levels that are the student's own features."""
        return tuple(level.name for level in (self.x_level, self.v_level) if level)

    def request(self, teachers: Sequence[TeacherSpec], width: int | None) -> AdapterRequest:
        """What an adapter for these teachers is planned from."""
        strides = [level.stride for spec in teachers for level in spec.levels if level.stride]
        return AdapterRequest(
            attachments=self.trunk.attachments,
            x_channels=self.x_channels,
            v=self.v,
            levels=tuple(
                map_plan(level, level.name)
                for level in self.trunk.levels
                if level.kind == "dense" and level != self.v_level
            ),
            finest=min(strides, default=self.v.stride),
            width=width,
            base_parameters=self.trunk.parameters,
        )


def find_features(trunk: TeacherSpec) -> TrunkFeatures:
    """The student's own features: a trunk's last dense level, and its first global one.

    Raises:
        UsageError: If it has no dense level.
    """
    dense = [level for level in trunk.levels if level.kind == "dense"]
    if not dense:
        raise UsageError(
            f"{trunk.name} has no dense level, so it cannot be the student's trunk",
            "--student timm/resnet18",
        )
    x_level = next((level for level in trunk.levels if level.kind == "global"), None)
    return TrunkFeatures(trunk, x_level, dense[-1])


def features_of(plan: Composition) -> TrunkFeatures:
    """What the trunk of a student that is planned already offers."""
    x_level = plan.trunk.level(plan.x_level) if plan.x_level else None
    return TrunkFeatures(plan.trunk, x_level, plan.trunk.level(plan.v_level))


def plan_adapters(
    config: RunConfig, features: TrunkFeatures, teachers: Sequence[TeacherSpec]
) -> tuple[AdapterPlan, ...]:
    """One adapter that all teachers share, or one for each, as the recipe says.

    Those of a teacher alone are narrower, so that all together have about as many parameters, and
    leave x and V as they are.

    Args:
        config: The run's.
        features: The base's.
        teachers: All but the base.

    Raises:
        UsageError: If the kind of adapter does not suit the base, or the recipe.
    """
    kind = config.student.adapter
    shared = plan_adapter(kind, features.request(teachers, config.student.width))
    if RECIPES[config.recipe].adapters == "one" or not teachers:
        return (shared,)
    width = shared.split_width(len(teachers))
    if width is None:
        raise UsageError(
            f"with recipe {config.recipe} each teacher has a side adapter of its own",
            f"--set student.adapter={EXTENSION}",
        )
    own = [plan_adapter(kind, features.request([spec], width)) for spec in teachers]
    return tuple(plan.beside(number) for number, plan in enumerate(own))


def plan_extension(
    config: RunConfig, features: TrunkFeatures, teachers: Sequence[TeacherSpec], number: int
) -> AdapterPlan:
    """The adapter that is added to a finished student for further teachers.

    Args:
        config: The run's.
        features: The base's.
        teachers: Those that are added.
        number: Which of the student's adapters it becomes.
    """
    # A width that is meant for another kind of adapter, such as LoRA's rank, does not suit this.
    width = config.student.width if config.student.adapter == EXTENSION else None
    return plan_adapter(EXTENSION, features.request(teachers, width)).beside(number)


def plan_aligners(
    config: RunConfig,
    spec: TeacherSpec,
    maps: Sequence[MapPlan],
    x_channels: int,
    native: Collection[str] = (),
    shared: int = 0,
) -> tuple[AlignerPlan, ...]:
    """An aligner for every level of a teacher.

    Args:
        config: The run's.
        spec: Of the teacher.
        maps: The student's dense maps that its aligners read.
        x_channels: Channels of the student's global feature.
        native: Names of its levels that are the student's own features, if it is the base.
        shared: Coordinates that the student's shared head gives; 0 without one.
    """
    student, recipe = config.student, RECIPES[config.recipe]
    kind = aligner_kind(recipe.aligner)
    more: dict[str, Any] = {"shared": shared} if shared else {}
    return tuple(
        (aligner_kind(kind.native_kind) if level.name in native else kind)(
            teacher=spec.name,
            level=level,
            maps={plan.name: plan.channels for plan in maps},
            x_channels=x_channels,
            hidden=ceil(recipe.private_share(level.kind) * min(student.hidden, 2 * level.channels)),
            latent=_coordinates(level, config),
            target=_target(recipe.match(level.kind).target, student.latent_map),
            projector=recipe.projector,
            **more,
        )
        for level in spec.levels
    )


def own_aligner(
    kind: type[AlignerPlan], teacher: str, level: Level, x_channels: int
) -> AlignerPlan:
    """An aligner of a level that is one of the student's own features.

    Args:
        kind: Its kind.
        teacher: Whose level it is.
        level: The level.
        x_channels: Channels of the student's global feature.
    """
    made = kind(
        teacher=teacher, level=level, maps={}, x_channels=x_channels,
        hidden=level.channels, latent=level.channels,
    )  # fmt: skip
    maps = {made.feature: level.channels} if made.feature and level.kind == "dense" else {}
    return made.model_copy(update={"maps": maps})


def plan_shared_head(
    config: RunConfig,
    teachers: Sequence[TeacherSpec],
    maps: Sequence[MapPlan],
    x_channels: int,
) -> SharedHeadPlan | None:
    """The one head for what all teachers share, if the recipe has one.

    Args:
        config: The run's.
        teachers: All, the base among them. They share no more coordinates than their dense levels
            have.
        maps: The student's dense maps, V first, which the head reads.
        x_channels: Channels of the student's global feature.
    """
    recipe, hidden = RECIPES[config.recipe], config.student.hidden
    dense = [level for spec in teachers for level in spec.levels if level.kind == "dense"]
    shared = min(recipe.shared, sum(_coordinates(level, config) for level in dense))
    if not shared:
        return None
    v = maps[0].model_dump(exclude={"name", "channels"})
    places, image = (
        ProjectorPlan(
            teacher="shared",
            level=level,
            maps={plan.name: plan.channels for plan in maps},
            x_channels=x_channels,
            hidden=hidden,
            latent=shared,
            projector=recipe.projector,
        )
        for level in (
            Level(name=PLACES, kind="dense", channels=shared, **v),
            Level(name=IMAGE, kind="global", channels=shared),
        )
    )
    return SharedHeadPlan(places=places, image=image)


def _target(target: Target, latent_map: LatentMap) -> Target:
    return "learned" if target == "principal" and latent_map == "learned" else target


def _coordinates(level: Level, config: RunConfig) -> int:
    # An image gives one global vector: too few to tell its weak axes from noise.
    target = RECIPES[config.recipe].match(level.kind).target
    narrowed = level.kind == "dense" and target == "principal"
    return min(level.channels, config.student.latent) if narrowed else level.channels
