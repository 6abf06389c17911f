"""Removes a teacher from a finished student; the other stand-ins stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from torch import Tensor

from kivfm_core.composition.composition import Composition
from kivfm_core.errors import UsageError
from kivfm_core.files import new_folder, only_writer
from kivfm_core.runs.derived import check_is_free, config_for, data_of, held, write_derived
from kivfm_core.runs.heads import copy_records
from kivfm_core.runs.run import Run, open_run
from kivfm_core.student.student import Student
from kivfm_core.weights.loading import load_strict


def remove_teacher(run: str | Path, teacher: str, out: str | Path) -> Path:
    """Writes a run whose student no longer stands in for a teacher.

    What only that teacher needed is removed: its aligners and decoders, and adapters whose maps no
    other teacher's aligner reads. The license terms are those of the remaining teachers. The new
    run can be evaluated and used, and teachers can be added to it; it has no steps to resume.

    Args:
        run: A finished run; it stays as it is.
        teacher: The full name of one of its teachers.
        out: The new run's folder.

    Returns:
        The new run's folder.

    Raises:
        UsageError: If the student has no such teacher, or it is the base or the last one, or the
            folder is there already, or another process is writing to one of the two.
    """
    earlier, path = open_run(run), Path(out)
    check_is_free(path)
    again = f"kivfm runs remove {quote(str(run))} {teacher} --out {quote(str(path))}"
    with only_writer(earlier.path, again), held(path, again):
        _write_without(earlier, teacher, path)
    return path


def _write_without(earlier: Run, teacher: str, path: Path) -> None:
    """Writes the new run; the earlier one is held meanwhile."""
    plan = _without(earlier.composition, teacher)
    weights = {name: made for name, made in earlier.recorded_weights.items()
               if name != teacher}  # fmt: skip
    trips = {level: kept for level, kept in earlier.environment.get("round_trip", {}).items()
             if level.partition(":")[0] != teacher}  # fmt: skip
    facts = {**earlier.environment, "weights": weights, "round_trip": trips, "removed": teacher}
    if "shared" in earlier.environment:
        facts["shared"] = _shared(earlier.environment["shared"], teacher)
    students = (
        _reduced(earlier.load_student(untrained=True), plan),
        _reduced(earlier.load_student(), plan),
    )
    with new_folder(path) as aside:
        config = config_for(plan, earlier.config, earlier.files)
        new = write_derived(aside, path, students, config, facts, data_of(earlier))
        copy_records(earlier, new, plan)


def _without(plan: Composition, teacher: str) -> Composition:
    names = [spec.name for spec in plan.teachers]
    others = [name for name in names if name not in (teacher, plan.base)]
    if teacher not in names or teacher == plan.base or not others:
        raise UsageError(
            f"{teacher} cannot be removed from a student of {', '.join(names)}"
            + (": it is the base" if teacher == plan.base else ""),
            f"one of: {', '.join(name for name in names if name != plan.base)}",
        )
    aligners = tuple(aligner for aligner in plan.aligners if aligner.teacher != teacher)
    read = {name for aligner in aligners for name in aligner.maps}
    return plan.model_copy(
        update={
            "teachers": tuple(spec for spec in plan.teachers if spec.name != teacher),
            "kept": (),  # nothing is left to learn
            "aligners": aligners,
            "extensions": tuple(
                adapter for adapter in plan.extensions if read & {m.name for m in adapter.maps}
            ),
        }
    )


def _shared(shared: Mapping[str, Any], teacher: str) -> dict[str, Any]:
    """What a run's teachers share, without a teacher's columns and rows."""
    others = {name: of for name, of in shared["others"].items() if name != teacher}
    levels = {level: share for level, share in shared["levels"].items()
              if level.partition(":")[0] != teacher}  # fmt: skip
    teachers = {
        name: {column: of for column, of in row.items() if column != teacher}
        for name, row in shared["teachers"].items()
        if name != teacher
    }
    return {**shared, "levels": levels, "teachers": teachers, "others": others}


def _reduced(whole: Student, plan: Composition) -> Student:
    """A student of a smaller composition, with the weights of a larger one."""
    student = Student(plan)
    load_strict(student, _state(whole, plan), "the student")
    student.decoders = {spec.name: whole.decoders[spec.name] for spec in plan.teachers}
    return student.eval()


def _state(whole: Student, plan: Composition) -> Mapping[str, Tensor]:
    state = whole.state_dict()
    stays = [spec in plan.teachers for spec in whole.composition.teachers]
    state["readout_units"] = state["readout_units"][stays]
    # Extensions are numbered, so those that remain get new numbers.
    moved = {f"extensions.{whole.composition.extensions.index(adapter)}.": f"extensions.{i}."
             for i, adapter in enumerate(plan.extensions)}  # fmt: skip
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("extensions."):
            old = ".".join(key.split(".", 2)[:2]) + "."
            if old in moved:
                out[moved[old] + key.removeprefix(old)] = value
        elif not key.startswith("aligners.") or key.split(".")[1] in {p.key for p in plan.aligners}:
            out[key] = value
    return out
