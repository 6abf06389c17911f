"""A warning where teachers are not declared any more as a run stored them."""

from __future__ import annotations

import warnings

from kivfm_core.errors import ChangedTeacherWarning, printable
from kivfm_core.registry.redeclared import redeclared
from kivfm_core.registry.registry import get_registry
from kivfm_core.runs.run import Run


def warn_of_changed_teachers(run: object) -> None:
    """Warns of what installed plugins declare differently than a run; it is used as stored.

    Args:
        run: Of other models than runs nothing is said.
    """
    if not isinstance(run, Run):
        return
    for line in redeclared(run.teachers, get_registry()):
        text = f"not as {printable(run.path)} stored it: {printable(line)}"
        warnings.warn(text, ChangedTeacherWarning, stacklevel=3)
