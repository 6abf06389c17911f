"""A warning where teachers are not declared any more as a run stored them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from kivfm_core.errors import ChangedTeacherWarning, printable


def warn_of_changed_teachers(run: Path) -> None:
    """Says on stderr what installed plugins declare differently than a run; it goes on as stored.

    A folder that is no run is left to the command, which says so.
    """
    from kivfm_core.composition.composition import read_composition
    from kivfm_core.registry.redeclared import redeclared
    from kivfm_core.registry.registry import get_registry
    from kivfm_core.run_files import RunFiles

    if not RunFiles(run).is_run:
        return
    for line in redeclared(read_composition(run).teachers, get_registry()):
        print(f"warning: not as {printable(run)} stored it: {printable(line)}", file=sys.stderr)
    # Python callers are warned by the functions themselves; here it was said.
    warnings.simplefilter("ignore", ChangedTeacherWarning)
