"""What a student will be: enough to build it and to count it. Torch-free."""

from __future__ import annotations

from math import lcm, sqrt
from pathlib import Path

from pydantic import Field

from kivfm_core.adapters import AdapterPlan, AnyPlan, MapPlan, SidePlan
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.run_files import RunFiles
from kivfm_core.spec import Attachment, Level, Record, TeacherSpec


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
        extensions: Adapters beside the first, one each time that teachers were added.
        kept: Teachers whose knowledge an earlier run left in the student, which this one keeps.
        teacher_size: Side of the largest canvases at which teachers are asked, in pixels; None: of
            the student's largest.
        scales: The student's pixels for one of a teacher's, in training: at this scale a stand-in
            looks at its teacher's canvases. One for those that are not named.
    """

    teachers: tuple[TeacherSpec, ...]
    base: str | None
    trunk: TeacherSpec
    trunk_size: int
    x_level: str | None
    v_level: str
    adapter: AnyPlan | None
    aligners: tuple[AlignerPlan, ...]
    image_size: tuple[int, ...]
    extensions: tuple[SidePlan, ...] = ()
    kept: tuple[str, ...] = ()
    teacher_size: int | None = None
    scales: dict[str, float] = Field(default_factory=dict)

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The student's dense maps: V, then the adapters'."""
        v = v_plan(self.trunk.level(self.v_level))
        return (v, *(plan for adapter in self.adapters for plan in adapter.maps))

    @property
    def adapters(self) -> tuple[AdapterPlan, ...]:
        """The adapter and its extensions."""
        return (*((self.adapter,) if self.adapter else ()), *self.extensions)

    @property
    def taps(self) -> tuple[Attachment, ...]:
        """The base's attachment points that adapters read, shallow to deep."""
        return next((adapter.taps for adapter in self.adapters if adapter.taps), ())

    @property
    def learned(self) -> tuple[TeacherSpec, ...]:
        """The teachers that a run learns from: all that are not kept."""
        return tuple(spec for spec in self.teachers if spec.name not in self.kept)

    @property
    def x_channels(self) -> int:
        """Channels of the student's global feature x."""
        return self.trunk.level(self.x_level or self.v_level).channels

    @property
    def trainable(self) -> int:
        """Parameters that distillation makes, fitted maps to teachers' levels included."""
        made = [part.parameters for part in (*self.adapters, *self.aligners)]
        return sum(made) + (0 if self.adapter else self.trunk.parameters)

    @property
    def total(self) -> int:
        """Parameters of the student without the teachers' decoders."""
        return self.trainable + (self.trunk.parameters if self.adapter else 0)

    def side(self, teacher: TeacherSpec) -> int:
        """The side of a teacher's canvases in training, in pixels."""
        return teacher.input.train_side(self.teacher_size or max(self.image_size))

    def shown(self, teacher: str, canvas: tuple[int, int]) -> tuple[int, int]:
        """The size `(h, w)` in pixels at which the student sees a teacher's canvas of `(h, w)`."""
        scale = self.scales.get(teacher, 1.0)
        h, w = (max(1, round(side * scale)) for side in canvas)
        return h, w

    def trunk_input(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """The size `(h, w)` in pixels at which the trunk sees a canvas of `(h, w)`.

        It has at least the area that the trunk is used to, whatever the canvas's size and shape.
        """
        contract, level = self.trunk.input, self.trunk.level(self.v_level)
        multiple = contract.multiple
        if level.rounding == "floor":
            multiple = lcm(multiple, level.stride or 1)
        side = sqrt(canvas[0] * canvas[1])
        scale = min(max(side, contract.train_side()), self.trunk_size) / side
        h, w = (max(1, round(side * scale / multiple)) * multiple for side in canvas)
        return h, w

    @property
    def asked(self) -> tuple[str, ...]:
        """The teachers to learn from whose levels the student's own pass does not give."""
        needed = {plan.teacher for plan in self.aligners if plan.kind != "identity"}
        return tuple(spec.name for spec in self.learned if spec.name in needed)

    def of(self, teacher: str) -> tuple[AlignerPlan, ...]:
        """The aligners of one teacher."""
        return tuple(aligner for aligner in self.aligners if aligner.teacher == teacher)


def read_composition(run: Path) -> Composition:
    """The composition of a run folder.

    Raises:
        UsageError: If it is none.
    """
    files = RunFiles(run)
    files.check_is_run()
    return Composition.model_validate(files.read_composition())


def v_plan(level: Level) -> MapPlan:
    """The student's dense map V, as a trunk's level gives it."""
    stride = stride_of(level)
    return MapPlan(name="V", channels=level.channels, stride=stride, rounding=level.rounding)


def stride_of(level: Level) -> int:
    """A dense level's stride, in pixels."""
    if level.stride is None:
        raise ValueError(f"level {level.name!r} is not dense")
    return level.stride
