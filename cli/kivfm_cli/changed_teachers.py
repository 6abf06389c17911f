"""A warning where teachers are not declared any more as a run stored them."""

from __future__ import annotations

import sys
from pathlib import Path

from kivfm_core.errors import printable


def warn_of_changed_teachers(run: Path) -> None:
    """Says on stderr what installed plugins declare differently than a run; it goes on as stored.

    Raises:
        UsageError: If the folder is no run.
    """
    from kivfm_core.composition.composition import read_composition
    from kivfm_core.registry.redeclared import redeclared
    from kivfm_core.registry.registry import get_registry

    for line in redeclared(read_composition(run).teachers, get_registry()):
        print(f"warning: not as {printable(run)} stored it: {printable(line)}", file=sys.stderr)
