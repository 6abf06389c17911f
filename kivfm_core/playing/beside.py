"""The teachers whose own results stand beside a student's: those whose weights are here."""

from __future__ import annotations

from kivfm_core.models.model import Model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Teacher


def why_absent(model: Model, spec: TeacherSpec) -> str | None:
    """Why a teacher cannot be beside its stand-in; None if it can, as far as is known.

    Nothing is fetched: what is not on this machine is absent.
    """
    if not isinstance(model, StudentModel):
        return "this is the teacher itself"
    return model.why_absent(spec)


def load_beside(model: Model, spec: TeacherSpec) -> Teacher | None:
    """A student's teacher with its weights, where the student computes; None if it is absent.

    Raises:
        KivfmError: If its weights are not those of the run, or cannot be read.
    """
    if not isinstance(model, StudentModel) or why_absent(model, spec) is not None:
        return None
    return model.teacher(spec.name)
