"""Which teacher is the base, the student's trunk. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.students import is_student
from kivfm_core.spec import TeacherSpec


def choose_base(config: RunConfig, teachers: Sequence[TeacherSpec]) -> TeacherSpec:
    """The teacher that `--base` names; by default the first general one.

    Args:
        config: May name a base.
        teachers: The selected ones.

    Raises:
        UsageError: If it is not selected, there is none, or an adapter cannot be attached to it.
    """
    name, names = config.student.base, _names(config, teachers)
    if name is not None:
        name = get_registry().resolve(name, config.variant).name
        found = [spec for spec in teachers if spec.name == name]
        problem = f"the base {name} is not among the teachers"
        hint = f"--teachers {name},{names}"
    else:
        found = [spec for spec in teachers if spec.role == "general"]
        problem = "no general teacher is selected, so the student has no base"
        hint = "; or ".join((f"--teachers dino,{names}", *_possible(teachers)))
    if not found:
        raise UsageError(problem, hint)
    if not _can_be(found[0]):
        raise UsageError(
            f"{found[0].name} has no attachment points or no dense level, so it cannot be the base",
            *(_possible(teachers) or [f"--teachers dino,{names} --base dino"]),
        )
    return found[0]


def _can_be(spec: TeacherSpec) -> bool:
    return bool(spec.attachments) and any(level.kind == "dense" for level in spec.levels)


def _possible(teachers: Sequence[TeacherSpec]) -> list[str]:
    """The flag that chooses the first of these teachers that can be a base; empty if none can."""
    return [f"--base {spec.name}" for spec in teachers if _can_be(spec)][:1]


def _names(config: RunConfig, teachers: Sequence[TeacherSpec]) -> str:
    """The teachers as a command takes them: a student by its folder."""
    given = [choice.name for choice in config.teachers]
    if len(given) != len(teachers):  # `installed`
        given = [spec.name for spec in teachers]
    names = (
        quote(folder) if is_student(spec) else spec.name
        for spec, folder in zip(teachers, given, strict=True)
    )
    return ",".join(names)
