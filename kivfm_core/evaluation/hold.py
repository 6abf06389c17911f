"""A run folder is held while its student is measured, so that nobody replaces it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar, cast

from kivfm_core.files import only_writer, remove_partials
from kivfm_core.run_files import RunFiles

Work = TypeVar("Work", bound=Callable[..., Any])


def holding_run(work: Work) -> Work:
    """Makes a function hold its argument `run`, unless it writes elsewhere, to its `out`.

    The function raises `UsageError` where another process is writing to the run, or it is none.
    """
    parameters = signature(work)

    @wraps(work)
    def held(*args: Any, **named: Any) -> Any:
        given = parameters.bind(*args, **named).arguments
        if given.get("out") is not None:
            return work(*args, **named)
        run = given["run"]
        if isinstance(run, str | Path):
            path = Path(run)
        else:
            path = run.path
        # The work itself says what is wrong with a folder that is none; no lock is written there.
        if not path.is_dir() or (isinstance(run, str | Path) and not RunFiles(path).is_run):
            return work(*args, **named)
        with only_writer(path, f"kivfm evaluate {quote(str(path))} --data D"):
            remove_partials(path)  # left by a kill; nobody else writes here now
            return work(*args, **named)

    return cast(Work, held)
