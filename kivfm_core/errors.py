"""Errors that say how to fix them, and errors as text.

Every error that a user can cause has a hint, if possible a command that can be pasted, and the exit
code that the command line returns for it.
"""

from pathlib import Path

from pydantic import ValidationError


class KivfmError(Exception):
    """The work failed.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do about it; a command where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        # Names in it may be a stranger's, and it is shown on a terminal.
        self.message = escaped(message)
        self.hint = escaped(hint)
        super().__init__(self.message)


class UsageError(KivfmError):
    """A name, flag, configuration or folder that was given is wrong."""

    exit_code = 2


class PluginError(KivfmError):
    """A plugin that is needed is missing, broken, or too new."""

    exit_code = 3


class WeightsError(KivfmError):
    """Weights cannot be found or fetched, or are not what the teacher declares."""


class DataError(KivfmError):
    """Images or labels cannot be used."""


def validation_lines(error: ValidationError) -> list[str]:
    """What pydantic found wrong, a line for each field: its path, the problem, the given value."""
    lines: list[str] = []
    for item in error.errors():
        path = ".".join(map(str, item["loc"])) or error.title
        given = repr(item["input"])
        # Of a missing field, pydantic gives the whole record that lacks it.
        told = item["type"] != "missing" and len(given) <= 60
        lines.append(f"{path}: {item['msg']}" + (f" (given: {given})" if told else ""))
    return lines


def one_line(error: BaseException) -> str:
    """An error as one line, for a list."""
    if isinstance(error, ValidationError):
        first, *more = validation_lines(error)
        return first + (f" (and {len(more)} more)" if more else "")
    text = " ".join(str(error).split())
    if len(text) > 300:
        text = text[:297] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def printable(name: str | Path) -> str:
    """A file's name as a message may show it: on one line, and none of it a terminal's command."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def escaped(text: str) -> str:
    r"""A text with what is a terminal's command in it, or no character, written out; lines stay.

    Example:
        >>> escaped("a\x1b[31mred")
        'a\\x1b[31mred'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
