"""Errors that say how to fix them, and errors as text.

Every error that a user can cause has a hint, if possible a command that can be pasted, and the exit
code that the command line returns for it.
"""

import errno
import os
from collections.abc import Collection, Generator
from contextlib import contextmanager
from difflib import get_close_matches
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


class ChangedTeacherWarning(UserWarning):
    """An installed plugin declares a teacher differently than a run stored it."""


class ScaledImageWarning(UserWarning):
    """Images of more than 8 bits were scaled to 8; said once in a process for each kind of them."""


# What is wrong with a value, by pydantic's name of the problem; braces take its context.
_PROBLEMS = {
    "extra_forbidden": "there is no such key",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "too_short": "must have at least {min_length} of them",
    "finite_number": "must be a finite number",
    "value_error": "{error}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "string_type": "must be text",
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), "must be a table"),
}


def validation_lines(error: ValidationError, known: Collection[str] = ()) -> list[str]:
    """What is wrong with a record, a line for each field: its path, the problem, the given value.

    Args:
        error: What pydantic found.
        known: The keys that there are, dotted, of which the nearest to a wrong one is named.
    """
    lines: list[str] = []
    for item in error.errors():
        path = ".".join(map(str, item["loc"])) or error.title
        given = repr(item["input"])
        problem = _PROBLEMS.get(item["type"], "") or item["msg"]
        problem = problem.format(**item.get("ctx", {})) if problem != item["msg"] else problem
        if item["type"] == "extra_forbidden" and (near := _nearest(path, known)):
            problem += f"; did you mean {near}?"
        # Of a missing field, pydantic gives the whole record that lacks it.
        told = item["type"] != "missing" and len(given) <= 60
        lines.append(f"{path}: {problem}" + (f" (given: {given})" if told else ""))
    return lines


def _nearest(path: str, known: Collection[str]) -> str:
    """The known key that was meant: in another table, or spelled a little differently."""
    last = path.rpartition(".")[2]
    elsewhere = [key for key in known if key.rpartition(".")[2] == last]
    return next(iter(elsewhere or get_close_matches(path, known, n=1, cutoff=0.75)), "")


def did_you_mean(name: str, known: Collection[str], otherwise: str) -> str:
    """A hint for a name that there is not: the nearest one that there is, or another hint.

    Example:
        >>> did_you_mean("detction", ["detection", "knn"], "tasks: ...")
        'did you mean detection?'
    """
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else otherwise


# What the system refuses, in words that say what is wrong with the place.
_REFUSALS = {
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the disk is read-only",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EISDIR: "this is a folder, not a file",
    errno.EEXIST: "there is already something of this name",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is full",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "these links lead in a circle",
    errno.EMFILE: "too many open files",
    errno.EIO: "the disk fails to read or write",
}


def system_error(error: BaseException) -> tuple[int, str] | None:
    """What the system refused.

    Libraries written in other languages raise errors of their own, with the system's words but not
    its number.

    Returns:
        The system's number and a sentence with the path, if it is known; None for other errors.
    """
    if isinstance(error, OSError):
        number, words = error.errno or 0, error.strerror or str(error) or type(error).__name__
        names = [name for name in (error.filename, error.filename2) if isinstance(name, str | Path)]
        place = " -> ".join(map(printable, names))
    else:
        said, place = str(error), ""
        number = next((n for n in _REFUSALS if os.strerror(n) in said), 0)
        if not number:
            return None
        words = said
    if isinstance(error, OSError) and words != os.strerror(number):
        return number, f"{place}: {words}" if place else words  # a library's own words say more
    sentence = _REFUSALS.get(number, words)
    return number, f"{place}: {sentence}" if place else f"{sentence} ({' '.join(words.split())})"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, a device's or the computer's.

    On the CPU, torch says so by a plain `RuntimeError`, in words that depend on the system.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    said = str(error).lower() if isinstance(error, RuntimeError) else ""
    words = ("out of memory", "not enough memory", "allocate memory")
    return any(word in said for word in words)


@contextmanager
def out_of_memory_said() -> Generator[None]:
    """Turns memory that ran out into a sentence; also a decorator.

    Raises:
        KivfmError: In place of the error.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        hint = "close other programs, or take fewer or smaller images"
        raise KivfmError("out of memory", hint) from error


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
