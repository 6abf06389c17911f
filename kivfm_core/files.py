"""Files and folders that appear whole or not at all. Torch-free.

What is written goes to a fresh name beside its place first. The name is new and nobody's link, so
nothing planted in a folder is followed or overwritten; the user's umask decides who may read it.
Nor is anything read through a link that a stranger's folder holds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from filelock import FileLock, Timeout

from kivfm_core.errors import UsageError, printable

# The end of the names of what is being written.
PARTIAL = ".partial"
# A folder whose one writer is at work has a file of this name, held by it.
LOCK = ".lock"


def write_text(path: Path, text: str) -> None:
    """Writes a file aside and renames it into place, safe from a loss of power."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`, of bytes."""
    with _replaced(path, sync=True) as aside:
        _write_new(aside, content)


def write_chunks(path: Path, chunks: Iterable[bytes], *, sync: bool = True) -> None:
    """Writes a file aside, piece by piece, and renames it into place.

    Args:
        path: The file.
        chunks: Its content; only one of them is held at a time.
        sync: Whether to wait until it is safe from a loss of power, some milliseconds.
    """
    with _replaced(path, sync=sync) as aside, _open_new(aside) as file:
        for chunk in chunks:
            file.write(chunk)


def keep(path: Path, content: bytes) -> None:
    """Writes a file of the user's cache, whole or not at all.

    If that fails, nothing is raised: the file is only made again when it is needed next.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replaced(path, sync=False) as aside:
            _write_new(aside, content)


def is_link(path: Path) -> bool:
    """Whether a file or folder of a run or bundle is a link, and so not followed.

    The hub's library keeps a snapshot's files as links to the blobs beside it: those are none.
    """
    if not path.is_symlink():
        return False
    try:
        cache, target = hub_cache().resolve(), path.resolve()
        repository, kind, *_ = path.parent.resolve().relative_to(cache).parts
    except (OSError, ValueError, RuntimeError):  # it leads in a circle, or lies elsewhere
        return True
    return kind != "snapshots" or target.parent != cache / repository / "blobs"


def hub_cache() -> Path:
    """The hub library's cache folder, by its own rules."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    return library_cache("HF_HOME", "huggingface") / "hub"


def library_cache(variable: str, default: str) -> Path:
    """A library's folder in the user's cache, unless its environment variable names another."""
    root = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get(variable, f"{root}/{default}")).expanduser()


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A file to be written piece by piece. It appears whole and replaces an old one, or not at all.

    Its folder is made if there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replaced(path, sync=True) as aside, _open_new(aside) as file:
        yield file


@contextmanager
def new_folder(folder: Path) -> Generator[Path]:
    """A folder to be filled. It appears whole and replaces an old one, or not at all."""
    aside = make_aside(folder)
    try:
        yield aside
        put_in_place(aside, folder)
    except OSError as error:
        _name(error, folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def make_aside(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and then given to `put_in_place`.

    What an earlier try that was killed has left there is removed.
    """
    for left in folder.parent.glob(f".{escape(folder.name)}.*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)
    aside = _fresh(folder)
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.mkdir()
    return aside


def put_in_place(aside: Path, folder: Path) -> None:
    """Renames a filled folder into place; an old one goes only when the new one is there."""
    old = _fresh(folder)
    for path in aside.rglob("*"):
        _sync(path)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def move_aside(folder: Path) -> Path:
    """Renames a folder that is to be removed, at once, and returns its new path."""
    aside = _fresh(folder.absolute())
    return folder.rename(aside)


@contextmanager
def only_writer(folder: Path, work: str) -> Generator[None]:
    """Lets one process at a time write to a folder.

    The lock dies with its process. On network disks it holds as far as their `flock` does.

    Args:
        folder: Exists, or is made.
        work: What to do when the other process is done; a command.

    Raises:
        UsageError: At once, if another process is writing, or nobody can.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0, is_singleton=False)
        lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"another process is writing to {printable(folder)}", f"wait for it, then: {work}"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{printable(folder)} cannot be written to: {str(error.strerror or error).lower()}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process is writing to a folder, as `only_writer` lets it."""
    if not (folder / LOCK).is_file():
        return False
    try:
        # The lock is taken for a moment where nobody has it: there is no other way to look.
        with FileLock(folder / LOCK, timeout=0, is_singleton=False):
            return False
    except Timeout:
        return True


def remove_aside(folder: Path) -> bool:
    """Removes what killed processes left beside a folder; returns whether there was something."""
    found = [*folder.parent.glob(f".{escape(folder.name)}.*{PARTIAL}")]
    for path in found:
        remove_folder(path)
    return bool(found)


def remove_folder(folder: Path) -> None:
    """Removes a folder, which another process may be removing, too."""
    while folder.is_dir():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


def remove_partials(folder: Path) -> None:
    """Removes the files in a folder, if there is one, that a killed process was writing."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if is_partial(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def is_partial(name: str) -> bool:
    """Whether a name is of something that was being written."""
    return name.startswith(".") and name.endswith(PARTIAL)


def _name(error: BaseException, path: Path) -> None:
    """Names what could not be written.

    The system names no file that was open, and nobody knows the fresh name.
    """
    if isinstance(error, OSError) and (error.filename is None or PARTIAL in str(error.filename)):
        error.filename, error.filename2 = str(path), None


def _fresh(path: Path) -> Path:
    """A name beside a path that nobody can have guessed."""
    return path.with_name(f".{path.name[:200]}.{token_hex(6)}{PARTIAL}")


@contextmanager
def _replaced(path: Path, *, sync: bool) -> Generator[Path]:
    """A fresh name beside a path; what is written there is renamed into place, or removed."""
    aside = _fresh(path)
    try:
        yield aside
        if sync:
            _sync(aside)
        os.replace(aside, path)
    except BaseException as error:
        with suppress(OSError):  # the folder may be a file, or gone
            aside.unlink(missing_ok=True)
        _name(error, path)
        raise


def _write_new(path: Path, content: bytes) -> None:
    """Writes a file that must not exist; a link in its place is not followed."""
    with _open_new(path) as file:
        file.write(content)


def _open_new(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "w+b")


def _sync(path: Path) -> None:
    """Waits until a file or folder would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
