"""Files and folders that appear whole or not at all. Torch-free."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a file under another name and renames it into place."""
    # Renaming within a folder is atomic: readers see the old file or the new one, never half.
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    _sync(aside)
    os.replace(aside, path)


def keep(path: Path, content: bytes) -> None:
    """Writes a file of the user's cache, whole or not at all.

    If that fails, nothing is raised: the file is only made again when it is needed next.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(path)


@contextmanager
def new_folder(folder: Path) -> Generator[Path]:
    """A folder to be filled. It appears whole and replaces an old one, or not at all."""
    aside = make_aside(folder)
    try:
        yield aside
        put_in_place(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    """Waits until a file or folder would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_aside(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and then given to `put_in_place`."""
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def put_in_place(aside: Path, folder: Path) -> None:
    """Renames a filled folder into place; an old one goes only when the new one is there."""
    old = folder.with_name(f".{folder.name}.old")
    for path in aside.rglob("*"):
        _sync(path)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
