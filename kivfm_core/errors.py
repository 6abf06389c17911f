"""Errors that name the fix.

Every error that a user can cause carries a hint, if possible a command that can be pasted, and the
exit code that the command line returns for it.
"""


class KivfmError(Exception):
    """The work failed.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do about it; a command where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KivfmError):
    """A name, flag, configuration or folder that was given is wrong."""

    exit_code = 2


class PluginError(KivfmError):
    """A plugin that is needed is missing, broken, or too new."""

    exit_code = 3


class WeightsError(KivfmError):
    """Weights cannot be had, or are not what the teacher declares."""


class DataError(KivfmError):
    """Images or labels cannot be used."""
