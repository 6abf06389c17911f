"""A run folder is held while its student is measured, so that nobody replaces it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar, cast

from kivfm_core.files import only_writer
from kivfm_core.models.model import Model
from kivfm_core.run_files import RunFiles
from kivfm_core.runs.run import Run

Work = TypeVar("Work", bound=Callable[..., Any])


def holding_run(work: Work) -> Work:
    """Makes a function hold the run that its argument `model` is, unless it writes to its `out`.

    The function raises `UsageError` where another process is writing to the run.
    """
    parameters = signature(work)

    @wraps(work)
    def held(*args: Any, **named: Any) -> Any:
        given = parameters.bind(*args, **named).arguments
        path = _run_folder(given["model"])
        if given.get("out") is not None or path is None:
            return work(*args, **named)
        with only_writer(path, f"kivfm evaluate {quote(str(path))} --data D"):
            return work(*args, **named)

    return cast(Work, held)


def _run_folder(model: str | Path | Run | Model) -> Path | None:
    """The folder of a run; None for what is none, of which nothing else is written."""
    if isinstance(model, str | Path):
        path = Path(model)
        return path if RunFiles(path).is_run else None
    run = model.run if isinstance(model, Model) else model
    # The work itself says what is wrong with a folder that is none; no lock is written there.
    return run.path if run is not None and run.path.is_dir() else None
