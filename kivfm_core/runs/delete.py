"""Deletes a run folder, whole or not at all. Torch-free."""

from __future__ import annotations

from pathlib import Path

from kivfm_core.errors import UsageError, printable
from kivfm_core.files import move_aside, only_writer, remove_aside, remove_folder
from kivfm_core.run_files import RunFiles


def delete_run(run: str | Path) -> None:
    """Deletes a run folder with all that is in it; without a question.

    Raises:
        UsageError: If the folder is no run, or a link, or another process is writing to it.
    """
    files = RunFiles(Path(run))
    if not files.path.exists() and remove_aside(files.path.absolute()):
        return  # the rest of one that a killed process was removing
    if files.path.is_symlink():
        raise UsageError(
            f"{printable(run)} is a link, which is not followed", "name the run folder itself"
        )
    files.check_is_run()
    with only_writer(files.path, f"kivfm runs delete {printable(run)}"):
        # A kill while it is removed leaves no half of a run that passes for one.
        aside = move_aside(files.path)
    remove_folder(aside)
