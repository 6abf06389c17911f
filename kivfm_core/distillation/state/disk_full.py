"""A full disk, reported with the command that goes on afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager

from kivfm_core.errors import KivfmError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def report_full_disk(again: str) -> Generator[None]:
    """Turns an error of a full disk into one that tells what to do.

    Args:
        again: The command that goes on once there is room.

    Raises:
        KivfmError: If a disk is full.
    """
    try:
        yield
    except Exception as error:
        # safetensors raises an error of its own, with the system's words but not its number.
        if not any(os.strerror(number) in str(error) for number in FULL):
            raise
        message = f"the disk is full; what was written before is whole ({error})"
        raise KivfmError(message, f"make room, then: {again}") from error
