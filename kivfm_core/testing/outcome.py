"""How a check ends when it does not pass. Torch-free."""

from __future__ import annotations

import traceback
from pathlib import Path

from kivfm_core.errors import KivfmError

CORE = str(Path(__file__).parents[1])


class Finding(Exception):
    """The teacher is not what it declares.

    Args:
        message: What is wrong, in one sentence.
        fix: What repairs it.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix

    def __str__(self) -> str:
        return f"{self.message}\nfix: {self.fix}"


class NotChecked(Exception):
    """The check could not be made.

    Args:
        reason: Why.
        fix: What makes it possible, if anything does.
    """

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.message, self.fix = reason, fix

    def __str__(self) -> str:
        return f"{self.message} ({self.fix})" if self.fix else self.message


def traceback_of(error: BaseException) -> str:
    """The traceback of what a teacher's code raised, from its own first line; empty if it did not.

    Args:
        error: What a check raised; of a finding, its cause counts.
    """
    cause = error.__cause__ if isinstance(error, Finding) else error
    if cause is None or isinstance(cause, KivfmError):
        return ""
    trace = cause.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(CORE):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(cause), cause, trace or cause.__traceback__))
