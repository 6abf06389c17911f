"""What a head is trained on: a run's student, or one teacher as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

from kivfm_core.composition.alone import plan_alone
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig, StudentConfig, TeacherChoice
from kivfm_core.errors import UsageError, printable
from kivfm_core.files import only_writer
from kivfm_core.models.model import Model
from kivfm_core.models.teacher_model import TeacherModel
from kivfm_core.runs.derived import data_of
from kivfm_core.runs.run import Run, describe_environment
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.card import TrainedOn
from kivfm_core.student.student import Student
from kivfm_core.teacher import LoadedTeacher


class Start(ABC):
    """What a head is trained on.

    Attributes:
        plan: The student's, without the head.
        config: The configuration that goes with it.
        files: The weights files that were given, by the teachers' full names.
        data: The images that the student was distilled on; None if it was not, or if unknown.
        run: The run whose student it is; None for a teacher.
    """

    plan: Composition
    config: RunConfig
    files: Mapping[str, str]
    data: TrainedOn | None = None
    run: Run | None = None

    @abstractmethod
    def load(self, untrained: bool = False) -> Student:
        """The student with its decoders, as it is or as it was before its first step."""

    @abstractmethod
    def environment(self, plan: Composition) -> dict[str, Any]:
        """The versions, weights and settings that the new run records.

        Args:
            plan: The plan of the new run's student.
        """

    def hold(self, again: str) -> AbstractContextManager[None]:
        """Keeps other processes from changing the run; `again` is the command to try later."""
        return only_writer(self.run.path, again) if self.run else nullcontext()


class StudentStart(Start):
    """A finished run's student.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = self._run = run
        self.plan = run.composition
        self.config, self.files, self.data = run.config, run.files, data_of(run)

    def load(self, untrained: bool = False) -> Student:
        """The run's student."""
        return self._run.load_student(untrained)

    def environment(self, plan: Composition) -> dict[str, Any]:
        """Those of the student's own run."""
        return dict(self._run.environment)


class TeacherStart(Start):
    """A teacher as it is: the student that `plan_alone` describes.

    Args:
        spec: The teacher.
        load: Loads it.
        file: The weights file that was given, if one was.
        like: A student on this teacher, whose canvases it is to take.
    """

    def __init__(
        self,
        spec: TeacherSpec,
        load: Callable[[], LoadedTeacher],
        file: str | None = None,
        like: Composition | None = None,
    ) -> None:
        self.plan, self.load_teacher = plan_alone(spec, like), load
        self.files = {spec.name: file} if file else {}
        self.config = RunConfig(
            teachers=(TeacherChoice(name=spec.name),),
            student=StudentConfig(base=spec.name, adapter="depths"),
        )

    @cached_property
    def teacher(self) -> LoadedTeacher:
        """The teacher with its weights."""
        return self.load_teacher()

    def load(self, untrained: bool = False) -> Student:
        """The teacher as a student: the same untrained, since nothing is trained."""
        student = Student(self.plan)
        student.trunk.load_state_dict(self.teacher.encoder.state_dict())
        student.decoders[self.teacher.spec.name] = self.teacher.decoders
        return student.eval()

    def environment(self, plan: Composition) -> dict[str, Any]:
        """Those of this machine, and of the teacher's weights."""
        weights = {self.teacher.spec.name: self.teacher.provenance}
        return describe_environment(plan, self.config.seed, weights)


def find_start(model: Model, base_alone: bool) -> Start:
    """Finds what a head is trained on, by what was opened.

    Args:
        model: A run's student, or a teacher.
        base_alone: Whether the head is trained on the base of the run's student alone.

    Raises:
        UsageError: If it is a bundle, or has no base of its own.
    """
    if isinstance(model, TeacherModel):
        if base_alone:
            raise UsageError(f"{model.name} is a teacher: it has no base", "no --base-alone")
        file = str(model.weights.absolute()) if model.weights else None
        return TeacherStart(model.spec, lambda: model.teacher, file)
    if model.run is None:
        raise UsageError(
            f"{printable(model.name)} is a bundle: a head is put on a run", "its run, or a teacher"
        )
    if not base_alone:
        return StudentStart(model.run)
    run, plan = model.run, model.run.composition
    if plan.base is None:
        raise UsageError(f"the student of {run.path} has no base: it was trained in full")
    name = plan.base
    return TeacherStart(plan.trunk, lambda: run.load_teacher(name), run.files.get(name), plan)
