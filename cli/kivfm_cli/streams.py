"""Standard streams that may be closed: from the start (`>&-`), or by their reader (`| head`)."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

# A closed stream, one whose reader has left, and a terminal that has gone.
_GONE = (errno.EBADF, errno.EPIPE, errno.EIO)


def steady_streams() -> None:
    """Lets work go on when nobody reads what it prints: it ends as it would have, unheard.

    A full disk behind stdout is still an error, raised once.

    Streams that a caller in Python has put in place of the process's own stay as they are.
    """
    _fill()
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _steady(1, sys.stdout)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _steady(2, sys.stderr)


class _Steady(io.FileIO):
    """Takes everything, once its reader has left or it has failed."""

    deaf = False

    def write(self, data: Any, /) -> int:
        if self.deaf:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.deaf = True
            # What stderr cannot take cannot be told there either.
            if error.errno not in _GONE and self.fileno() == 1:
                error.filename = "stdout"
                raise
            return memoryview(data).nbytes


def _fill() -> None:
    """Opens each closed standard descriptor on nothing.

    Otherwise the next file that is opened would get its number, and what some library prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)


def _steady(number: int, old: TextIO | None) -> TextIO:
    if old is not None:
        old.flush()
    raw = _Steady(number, "w", closefd=False)
    # A name that the terminal's encoding does not have is shown by its code, and is no error.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=old.encoding if old else "utf-8",
        errors="backslashreplace", line_buffering=number == 2 or raw.isatty(),
        write_through=number == 2,
    )  # fmt: skip
