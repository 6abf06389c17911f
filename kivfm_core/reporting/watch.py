"""The page of a run that goes on, written anew every few seconds until the run ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kivfm_core.files import is_held
from kivfm_core.reporting.page import write_report
from kivfm_core.run_files import RunFiles

# Seconds between two pages.
EVERY = 5


def watch_run(
    run: str | Path,
    out: str | Path | None = None,
    every: float = EVERY,
    written: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a run's page until no process works on the run any more; then once more.

    A browser that shows the page loads it anew as often. The last page does not ask for that, even
    after Ctrl-C.

    Args:
        run: The run folder.
        out: The file; `report.html` in the run folder by default.
        every: Seconds between two pages.
        written: Called with the file after each page but the last.

    Returns:
        The file.

    Raises:
        UsageError: If the folder is no run, or a record is damaged.
    """
    folder = Path(run)
    RunFiles(folder).check_is_run()
    try:
        while is_held(folder):
            file = write_report(run, out, follow=max(1, round(every)))
            if written is not None:
                written(file)
            time.sleep(every)
    finally:
        file = write_report(run, out)
    return file
