"""The hooks that a plugin implements."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from kivfm_core.spec import TeacherProvider, TeacherSpec
from kivfm_core.task import TaskRecord

PROJECT = "kivfm"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kivfm_register_teachers() -> Iterable[TeacherSpec | TeacherProvider]:
    """Give the teachers of this package.

    Called at discovery, so keep the module light: data only, code named by reference.
    """
    raise NotImplementedError


@hookspec
def kivfm_register_tasks() -> Iterable[TaskRecord]:
    """Give the tasks that this package adds to kivfm's own.

    Called at discovery, so keep the module light: data only, code named by reference. Any
    package's teachers can then declare them.
    """
    raise NotImplementedError
