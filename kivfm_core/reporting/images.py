"""Which images a run's networks can be run on for its page. Torch-free."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from kivfm_core.errors import UsageError, printable
from kivfm_core.run_files import RunFiles


def find_data(run: str | Path, given: str | Path | None = None) -> Path | None:
    """The images for a page's figures.

    Args:
        run: The run folder.
        given: Those that a user names; by default the run's own.

    Returns:
        A folder or tar; None if the run has no student yet, or its own images are not there.

    Raises:
        UsageError: If the folder is no run, or images are given and there is no student.
    """
    files = RunFiles(Path(run))
    files.check_is_run()
    if given is not None:
        if not files.has_student:
            raise UsageError(
                f"the run {printable(files.path)} has no student yet",
                f"its records alone: kivfm report {quote(str(files.path))}",
            )
        return Path(given)
    own = files.read_config().get("data", {}).get("path")
    path = Path(own).expanduser() if isinstance(own, str) and own else None
    return path if files.has_student and path is not None and path.exists() else None
