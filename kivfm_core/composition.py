"""What a student will be: enough to build it and to count it. Torch-free."""

from __future__ import annotations

from kivfm_core.adapters.plan import AdapterPlan, MapPlan
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.spec import Level, Record, TeacherSpec


class Composition(Record):
    """All that a student is made of; enough to build it.

    Attributes:
        teachers: The resolved specs, in the order given.
        base: Name of the teacher whose frozen encoder is the trunk; None if trained from scratch.
        trunk: Spec of the student's encoder: the base's, or the `--student` backbone's.
        trunk_size: Side of the square whose area the trunk's input gets at most, in pixels.
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
        v = v_plan(self.trunk.level(self.v_level))
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

    def side(self, teacher: TeacherSpec) -> int:
        """The side of a teacher's canvases in training, in pixels."""
        return teacher.input.train_side(max(self.image_size))

    @property
    def asked(self) -> tuple[str, ...]:
        """The teachers whose levels the student's own pass does not give."""
        needed = {plan.teacher for plan in self.aligners if plan.kind != "identity"}
        return tuple(spec.name for spec in self.teachers if spec.name in needed)

    def of(self, teacher: str) -> tuple[AlignerPlan, ...]:
        """The aligners of one teacher."""
        return tuple(aligner for aligner in self.aligners if aligner.teacher == teacher)


def v_plan(level: Level) -> MapPlan:
    """The student's dense map V, as a trunk's level gives it."""
    stride = stride_of(level)
    return MapPlan(name="V", channels=level.channels, stride=stride, rounding=level.rounding)


def stride_of(level: Level) -> int:
    """A dense level's stride, in pixels."""
    if level.stride is None:
        raise ValueError(f"level {level.name!r} is not dense")
    return level.stride
