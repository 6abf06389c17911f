"""The one hook that a teacher package implements."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from kivfm_core.spec import TeacherProvider, TeacherSpec

PROJECT = "kivfm"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kivfm_register_teachers() -> Iterable[TeacherSpec | TeacherProvider]:
    """Give the teachers of this package.

    Called at discovery, so keep the module light: data only, code named by reference.
    """
    raise NotImplementedError
