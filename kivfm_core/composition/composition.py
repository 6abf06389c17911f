"""What a student is made of: enough to build it and to count it. Torch-free."""

from __future__ import annotations

from contextlib import suppress
from math import lcm, sqrt
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from kivfm_core.adapters.plan import AdapterPlan, MapPlan, Source
from kivfm_core.adapters.table import AnyAdapterPlan
from kivfm_core.aligners.joint_plan import PLACES, JointIdentityPlan, JointPlan
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.aligners.shared_head_plan import SharedHeadPlan
from kivfm_core.aligners.table import AnyAlignerPlan
from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.registry.heads import is_head
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.requirements import stored_requirements
from kivfm_core.registry.stored import check_stored
from kivfm_core.registry.students import is_student
from kivfm_core.run_files import BUNDLE, ENVIRONMENT, STUDENT_CARD, RunFiles, read_record
from kivfm_core.spec import Level, Record, Side, TeacherSpec

# What of a student is trained together with a head: nothing, its adapters, or all but decoders.
Unfreeze = Literal["none", "adapter", "all"]

# A student's canvas by its teacher's.
Scale = Annotated[float, Field(gt=0, le=16)]


class Composition(Record):
    """All that a student is made of. A run stores it as `composition.json`.

    Attributes:
        teachers: The resolved specs, in the order given.
        base: Name of the teacher whose frozen encoder is the trunk; None if it is trained in full.
        trunk: Spec of the student's encoder: the base's, or the `--student` backbone's.
        trunk_size: Side of the square whose area the trunk's input gets at most, in pixels.
        x_level: The trunk's level that is the student's global feature x; None: V averaged.
        v_level: The trunk's level that is the student's dense map V.
        adapter: None on a trunk that is trained in full.
        aligners: One for every level of every teacher.
        image_size: Sides of the student's canvases in training, in pixels.
        shared_head: The one head for what all teachers share; None without one.
        extensions: Adapters beside the first, one each time that teachers were added.
        kept: Names of the frozen teachers. Stored under this name; code reads `frozen_teachers`.
        teacher_size: Side of the teachers' largest canvases in training, in pixels; None: that of
            the student's largest.
        scales: Student canvas size / teacher canvas size in training, by teacher; default 1. A
            stand-in resizes its teacher's canvases by it.
        pretrained: Whether a trunk that is trained in full started from weights, not at random.
        unfrozen: What was trained on labels, together with a head. After `all`, the trunk is no
            longer what the base's makers published.
    """

    teachers: tuple[TeacherSpec, ...]
    base: str | None
    trunk: TeacherSpec
    trunk_size: Side
    x_level: str | None
    v_level: str
    adapter: AnyAdapterPlan | None
    aligners: tuple[AnyAlignerPlan, ...]
    image_size: tuple[Side, ...] = Field(min_length=1)
    extensions: tuple[AnyAdapterPlan, ...] = ()
    shared_head: SharedHeadPlan | None = None
    kept: tuple[str, ...] = ()
    teacher_size: Side | None = None
    scales: dict[str, Scale] = Field(default_factory=dict)
    pretrained: bool = False
    unfrozen: Unfreeze = "none"

    @model_validator(mode="after")
    def _names_what_is_there(self) -> Self:
        """A stored plan may be anyone's; what it names is found later, wherever it is used."""
        levels = {level.name: level for level in self.trunk.levels}
        v = levels.get(self.v_level)
        if v is None or v.stride is None:
            raise ValueError(f"{printable(self.v_level)} is no dense level of {self.trunk.name}")
        largest = max(self.trunk_size, self.trunk.input.train_side())
        if v.stride > largest:
            # Canvases would be enlarged to a cell, however large a plan says that it is.
            raise ValueError(
                f"a cell of {printable(self.v_level)} ({v.stride} pixels) is larger than a canvas"
            )
        if any(source.stride > largest for source in self.reads):
            raise ValueError("a cell that an adapter reads is larger than a canvas")
        if self.x_level is not None and self.x_level not in levels:
            raise ValueError(f"{printable(self.x_level)} is no level of {self.trunk.name}")
        if self.base is not None and self.base not in {spec.name for spec in self.teachers}:
            raise ValueError(f"the base, {printable(self.base)}, is none of the teachers")
        offered = {plan.name for plan in self.maps}
        known = {(spec.name, level.name) for spec in self.teachers for level in spec.levels}
        head = self.shared_head
        for aligner in self.aligners:
            if (aligner.teacher, aligner.level.name) not in known:
                raise ValueError(f"{printable(aligner.key)} is no level of a teacher")
            joint = isinstance(aligner, JointPlan | JointIdentityPlan)
            if joint and (head is None or head.shared != aligner.shared):
                raise ValueError(f"{printable(aligner.key)} does not fit the shared head")
        if head and ((z := head.places.level).stride, z.rounding) != (v.stride, v.rounding):
            raise ValueError("the shared head has another grid than V")
        for aligner in (*self.aligners, *((head.places, head.image) if head else ())):
            if lacking := sorted(aligner.maps.keys() - offered):
                reads = f"{printable(aligner.key)} reads {printable(lacking[0])}"
                raise ValueError(f"{reads}, which the student lacks")
        return self

    @model_serializer(mode="wrap")
    def _as_ever(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What newer fields do not change is written, and hashed, as before there were any."""
        needless = {"shared_head": None, "pretrained": False, "unfrozen": "none"}
        return {k: v for k, v in dump(self).items() if k not in needless or v != needless[k]}

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The student's dense maps: V, the adapters', and what teachers share."""
        own = (plan for adapter in self.adapters for plan in adapter.maps)
        shared = (map_plan(head.places.level, PLACES),) if (head := self.shared_head) else ()
        return (v_plan(self.trunk.level(self.v_level)), *own, *shared)

    @property
    def adapters(self) -> tuple[AdapterPlan, ...]:
        """The adapter and its extensions."""
        return (*((self.adapter,) if self.adapter else ()), *self.extensions)

    @property
    def reads(self) -> tuple[Source, ...]:
        """What adapters read of the base, each once."""
        every = (source for adapter in self.adapters for source in adapter.reads)
        return tuple(dict.fromkeys(every))

    @property
    def distilled(self) -> tuple[TeacherSpec, ...]:
        """The teachers without heads, which were trained on labels."""
        return tuple(spec for spec in self.teachers if not is_head(spec))

    @property
    def is_teacher_alone(self) -> bool:
        """Whether the student is its base and heads: nothing was distilled into it."""
        added = sum(part.parameters for part in (*self.adapters, *self.aligners))
        return self.base is not None and len(self.distilled) == 1 and not added

    @property
    def trains_trunk(self) -> bool:
        """Whether the trunk's weights are the student's own, and not a frozen base's."""
        return self.adapter is None or self.unfrozen == "all"

    @property
    def origins(self) -> tuple[TeacherSpec, ...]:
        """All whose terms the student inherits: its teachers, and what its trunk started from."""
        started = self.pretrained and self.trunk.name not in (spec.name for spec in self.teachers)
        return (*self.teachers, *((self.trunk,) if started else ()))

    @property
    def frozen_teachers(self) -> tuple[str, ...]:
        """Teachers that an earlier run's student learned; their stand-ins stay as they are."""
        return self.kept

    @property
    def learned(self) -> tuple[TeacherSpec, ...]:
        """The teachers that a run learns from: all that are not frozen."""
        return tuple(spec for spec in self.teachers if spec.name not in self.frozen_teachers)

    @property
    def teachers_to_run(self) -> tuple[str, ...]:
        """The teachers to learn from whose encoders must run.

        The base is none of them if all its levels are native: the student's own pass gives them.
        """
        needed = {plan.teacher for plan in self.aligners if not plan.native}
        return tuple(spec.name for spec in self.learned if spec.name in needed)

    @property
    def x_channels(self) -> int:
        """Channels of the student's global feature x."""
        return self.trunk.level(self.x_level or self.v_level).channels

    @property
    def trainable(self) -> int:
        """Parameters that training changes or fits, maps to teachers' levels included."""
        parts = (*self.adapters, *self.aligners, *filter(None, [self.shared_head]))
        return sum(part.parameters for part in parts) + (
            self.trunk.parameters if self.trains_trunk else 0
        )

    @property
    def total(self) -> int:
        """Parameters of the student without the teachers' decoders."""
        return self.trainable + (0 if self.trains_trunk else self.trunk.parameters)

    def side(self, teacher: TeacherSpec) -> int:
        """The side of a teacher's canvases in training, in pixels."""
        return teacher.input.train_side(self.teacher_size or max(self.image_size))

    def student_size(self, teacher: str, canvas: tuple[int, int]) -> tuple[int, int]:
        """The student's canvas size `(h, w)` for a teacher's canvas of `(h, w)`, in pixels."""
        scale = self.scales.get(teacher, 1.0)
        h, w = (max(1, round(side * scale)) for side in canvas)
        return h, w

    def trunk_input(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """The trunk's input size `(h, w)` for a student's canvas of `(h, w)`, in pixels.

        Nearly of the canvas's shape. Its area is at least that of the trunk's own training input,
        and at most `trunk_size` squared.
        """
        contract, level = self.trunk.input, self.trunk.level(self.v_level)
        multiple = contract.multiple
        # With `floor` a part of a cell at the border would be dropped.
        if level.rounding == "floor":
            multiple = lcm(multiple, level.stride or 1)
        side = sqrt(canvas[0] * canvas[1])
        scale = min(max(side, contract.train_side()), self.trunk_size) / side
        h, w = (max(1, round(side * scale / multiple)) * multiple for side in canvas)
        return h, w

    def of(self, teacher: str) -> tuple[AlignerPlan, ...]:
        """The aligners of one teacher."""
        return tuple(aligner for aligner in self.aligners if aligner.teacher == teacher)


def read_composition(run: Path) -> Composition:
    """The composition of a run folder.

    Raises:
        UsageError: If it is none, or its composition is damaged.
        PluginError: As `stored_composition`.
    """
    files = RunFiles(run)
    files.check_is_run()
    return stored_composition(files.read_composition(), files.composition_file)


def stored_composition(record: object, file: Path) -> Composition:
    """A composition that a file holds, from which a student may be built.

    Args:
        record: What the file says.
        file: For messages.

    Raises:
        UsageError: If it is no composition.
        PluginError: If a teacher is not installed, or the file names code that its installed
            teacher does not name.
    """
    try:
        composition = Composition.model_validate(record)
    except (ValidationError, RecursionError) as error:
        raise UsageError(f"{printable(file)} is damaged: {printable(one_line(error))}") from error
    specs = (*composition.teachers, composition.trunk)
    check_stored(specs, get_registry(), lambda: _stored_packages(file))
    for spec in filter(is_student, specs):
        # A student that taught carries its own plan, from which its networks are built.
        stored_composition(spec.config.get("composition"), file)
    return composition


def _stored_packages(file: Path) -> list[str]:
    """The packages that brought the teachers, as far as a run's or bundle's records say it."""
    named: dict[str, None] = {}
    for record in (file, file.parent / ENVIRONMENT, file.parent / BUNDLE / STUDENT_CARD):
        with suppress(UsageError, ValueError):  # a hint only: each is checked where it is used
            named |= dict.fromkeys(
                stored_requirements(read_record(record).get("distributions", ()))
            )
    return list(named)


def v_plan(level: Level) -> MapPlan:
    """The student's dense map V, as a trunk's level gives it."""
    return map_plan(level, "V")


def map_plan(level: Level, name: str) -> MapPlan:
    """A dense level as one of the student's maps."""
    stride = stride_of(level)
    return MapPlan(name=name, channels=level.channels, stride=stride, rounding=level.rounding)


def stride_of(level: Level) -> int:
    """A dense level's stride, in pixels."""
    if level.stride is None:
        raise ValueError(f"level {level.name!r} is not dense")
    return level.stride
