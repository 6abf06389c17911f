"""The teachers whose own results stand beside a student's: those whose weights are here."""

from __future__ import annotations

from kivfm_core.models.model import Model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.stored import has_weights
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Teacher


def why_absent(model: Model, spec: TeacherSpec) -> str | None:
    """Why a teacher cannot be beside its stand-in; None if it can, as far as is known.

    Nothing is fetched: what is not on this machine is absent.
    """
    if not isinstance(model, StudentModel):
        return "this is the teacher itself"
    given = model.run is not None and spec.name in model.run.files
    if given or has_weights(spec, get_registry()):
        return None
    return "its weights are not on this machine"


def load_beside(model: Model, spec: TeacherSpec) -> Teacher | None:
    """A student's teacher with its weights, where the student computes; None if it is absent.

    Raises:
        KivfmError: If its weights are not those of the run, or cannot be read.
    """
    if not isinstance(model, StudentModel) or why_absent(model, spec) is not None:
        return None
    return model.teacher(spec.name)
