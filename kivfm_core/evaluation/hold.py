"""A run folder is held while its student is measured, so that nobody replaces it meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from kivfm_core.files import only_writer, remove_partials
from kivfm_core.runs.run import Run


@contextmanager
def hold_run(run: Run | None, out: str | Path | None = None) -> Generator[None]:
    """Holds a run's folder until its evaluation is written, unless that goes elsewhere.

    Args:
        run: The run; of other models nothing is written.
        out: Where else the evaluation is written to.

    Raises:
        UsageError: If another process is writing to the run.
    """
    if out is not None or run is None or not run.path.is_dir():
        yield
        return
    with only_writer(run.path, f"kivfm evaluate {quote(str(run.path))} --data D"):
        remove_partials(run.path)  # left by a kill; nobody else writes here now
        yield
