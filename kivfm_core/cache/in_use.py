"""Which stores of a cache running processes use, so that nobody removes those. Torch-free.

A user holds a shared `flock`, which dies with its process, and works on network disks as far as
their `flock` does. A system without `flock` lets nobody remove a file that is open.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from kivfm_core.files import move_aside

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None

# Held in a store's folder by each process that uses it.
IN_USE = "in-use"


class Use:
    """The use of a store by this process, until it is closed or garbage.

    Args:
        folder: The store's, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self.handle: int | None = None
        # A cache that may only be read cannot be pruned either.
        with suppress(OSError):
            self.handle = _open(folder)
            if fcntl is not None:
                fcntl.flock(self.handle, fcntl.LOCK_SH)

    def close(self) -> None:
        """Ends the use."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def __del__(self) -> None:
        self.close()


def remove_unused(folder: Path, *, dry_run: bool = False) -> bool:
    """Removes a store that no process uses; returns whether there was none.

    Args:
        folder: The store's.
        dry_run: Whether to look only.

    Raises:
        OSError: If it cannot be removed.
    """
    handle = _open(folder)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not dry_run:
            shutil.rmtree(move_aside(folder))
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _open(folder: Path) -> int:
    flags = os.O_RDONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.open(folder / IN_USE, flags, 0o666)
