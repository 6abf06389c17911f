"""Students as teachers: a provider whose names are folders. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from kivfm_core.registry.entry import Entry
from kivfm_core.registry.heads import is_head
from kivfm_core.run_files import STUDENT_CARD, RunFiles
from kivfm_core.spec import References, TeacherProvider, TeacherSpec

# The family of all students that teach; the variant is their run's name.
PREFIX = "student/"

ENCODER = "kivfm_core.student.as_teacher:encoder"
DECODER = "kivfm_core.student.as_teacher:decoder"
SPLIT = "kivfm_core.student.as_teacher:split"


@cache
def students() -> Entry:
    """The entry of all students that teach."""
    provider = TeacherProvider(
        prefix=PREFIX,
        resolve="kivfm_core.composition.student_teacher:resolve",
        distribution="kivfm",
        cached=False,
        summary="The student of a run, by the run's folder or the bundle's.",
        references=References(encoder=(ENCODER,), decoder=(DECODER,), split=(SPLIT,)),
    )
    return Entry(PREFIX, "kivfm", version("kivfm"), provider=provider)


def find_bundle(name: str | Path) -> Path | None:
    """The bundle of a run's folder, or of its own; None if there is no student."""
    try:
        folder = Path(name).expanduser()
        if (folder / STUDENT_CARD).is_file():
            return folder
        run = RunFiles(folder)
        return run.bundle if run.has_student else None
    except (OSError, RuntimeError, ValueError):  # too long for a path, say: a name of no folder
        return None


def student_name(bundle: Path) -> str:
    """What a student is called as a teacher: by its run's folder, or by its own."""
    run = RunFiles(bundle.absolute().parent)
    own = run.path if run.is_run and run.bundle.name == bundle.name else bundle.absolute()
    return PREFIX + (re.sub("[^A-Za-z0-9._-]+", "-", own.name).lstrip("._-") or "student")


def is_student(spec: TeacherSpec) -> bool:
    """Whether a teacher is a student of others."""
    return spec.name.startswith(PREFIX) or spec.encoder == ENCODER


def taught_by(spec: TeacherSpec) -> list[TeacherSpec]:
    """What a student was made from, its trunk's first weights too; of another teacher, none."""
    plan = cast(dict[str, Any], spec.config.get("composition", {})) if is_student(spec) else {}
    started = [plan["trunk"]] if plan.get("pretrained") else []
    return [TeacherSpec.model_validate(one) for one in (*plan.get("teachers", ()), *started)]


def original_teachers(specs: Iterable[TeacherSpec]) -> list[TeacherSpec]:
    """The teachers that all was learned from: in place of a student, those that it learned from.

    What was learned from twice, also by way of a student, is there once. Heads learned from labels.
    """
    found, given = list[TeacherSpec](), list(specs)
    for spec in given:
        if is_head(spec):
            continue
        within = taught_by(spec)
        new = original_teachers(within) if within else []
        found += [one for one in new if one not in (*found, *given)] if within else [spec]
    return found
