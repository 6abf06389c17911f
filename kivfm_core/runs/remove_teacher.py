"""Removes a teacher from a finished student; the other stand-ins stay as they are."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from torch import Tensor

from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig, TeacherChoice
from kivfm_core.errors import UsageError
from kivfm_core.files import LOCK, new_folder, only_writer, write_text
from kivfm_core.run_files import STUDENT_CARD, STUDENT_STATE, UNTRAINED, read_record
from kivfm_core.runs.run import Run, open_run
from kivfm_core.student.bundle import save_tensors, write_bundle
from kivfm_core.student.card import trained_on
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
    _check_is_free(path)
    again = f"kivfm runs remove {quote(str(run))} {teacher} --out {quote(str(path))}"
    with only_writer(earlier.path, again), _held(path, again):
        _write_without(earlier, teacher, path)
    return path


def _check_is_free(path: Path) -> None:
    # A lock alone is what a kill leaves.
    if path.exists() and (not path.is_dir() or {p.name for p in path.iterdir()} != {LOCK}):
        raise UsageError(f"{path} is there already", f"choose another: --out {quote(f'{path}-2')}")


@contextmanager
def _held(path: Path, again: str) -> Generator[None]:
    """Holds the new run's folder until the run stands in its place; a failure leaves none."""
    with only_writer(path, again):
        # What was looked at before may have changed until the folder was held.
        _check_is_free(path)
        try:
            yield
        except BaseException:
            (path / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                path.rmdir()
            raise


def _write_without(earlier: Run, teacher: str, path: Path) -> None:
    """Writes the new run; the earlier one is held meanwhile."""
    plan = _without(earlier.composition, teacher)
    weights = {name: made for name, made in earlier.recorded_weights.items()
               if name != teacher}  # fmt: skip
    trips = {level: kept for level, kept in earlier.environment.get("round_trip", {}).items()
             if level.partition(":")[0] != teacher}  # fmt: skip
    facts = {**earlier.environment, "weights": weights, "round_trip": trips, "removed": teacher}
    with new_folder(path) as aside:
        new = Run(aside)
        new.write_plan(_config(earlier, plan), plan)
        write_text(new.environment_file, json.dumps(facts, indent=1))
        untrained = new.checkpoints / UNTRAINED
        untrained.mkdir(parents=True)
        before = _reduced(earlier.load_student(untrained=True), plan)
        save_tensors(before.trained(), untrained / STUDENT_STATE)
        data = trained_on(read_record(earlier.bundle / STUDENT_CARD))
        write_bundle(_reduced(earlier.load_student(), plan), new.bundle, path, data)


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


def _config(run: Run, plan: Composition) -> RunConfig:
    names = [spec.name for spec in plan.teachers]
    weights = {name: file for name, file in run.files.items() if name in names}
    student = run.config.student.model_copy(update={"start": None})
    teachers = tuple(TeacherChoice(name=name) for name in names)
    return run.config.model_copy(
        update={"teachers": teachers, "weights": weights, "student": student}
    )


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
