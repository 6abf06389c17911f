"""A full disk, in plain words."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager

from kivfm_core.errors import KivfmError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def report_full_disk(again: str) -> Generator[None]:
    """Says that a disk is full, where it is.

    Args:
        again: The command that goes on once there is room.

    Raises:
        KivfmError: If a disk is full.
    """
    try:
        yield
    except Exception as error:
        # The library that writes tensors has an error of its own, in the system's words.
        if not any(os.strerror(number) in str(error) for number in FULL):
            raise
        message = f"the disk is full; what was written before is whole ({error})"
        raise KivfmError(message, f"make room, then: {again}") from error
