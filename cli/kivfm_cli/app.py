"""The entry point: flags of the program, and the one place where errors become messages."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

import kivfm_core
from kivfm_cli.lazy import LazyGroup, make_app
from kivfm_cli.streams import steady_streams
from kivfm_core.errors import (
    KivfmError,
    escaped,
    out_of_memory_said,
    printable,
    system_error,
    validation_lines,
)

app = make_app(
    cls=LazyGroup,
    help="Distill several pre-trained vision models into one.",
    add_completion=True,
    invoke_without_command=True,
)
INTERRUPTED = 130
_format_warning = warnings.formatwarning
# Newer releases of Typer contain their own copy of click, so its error class is found by name.
_ClickError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kivfm {kivfm_core.__version__}")
        raise typer.Exit


@app.callback()
def _switches(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    no_plugins: Annotated[
        bool,
        typer.Option(
            "--no-plugins",
            help="Use the built-in teachers only (allowed anywhere on the command line).",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of an error (allowed anywhere on the command line)."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line.

    Args:
        argv: The words after the program's name; by default those of this process.

    Returns:
        The exit code: 0 success, 1 the work failed, 2 wrong usage, 3 plugin, 130 interrupted.
    """
    steady_streams()
    warnings.formatwarning = _sentence
    words = list(sys.argv[1:] if argv is None else argv)
    if "--no-plugins" in words:
        os.environ["KIVFM_NO_PLUGINS"] = "1"
    debug = "--debug" in words
    words = [word for word in words if word not in ("--debug", "--no-plugins")]
    try:
        with out_of_memory_said():
            code = app(words, prog_name="kivfm", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:
            raise KeyboardInterrupt  # newer releases of Typer make a code of it, and say nothing
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        _report("interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error)


def _sentence(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
    """Our own warnings without the line of code that they come from."""
    if category.__module__ == KivfmError.__module__:
        return f"warning: {message}\n"
    return _format_warning(message, category, *place, **more)


def _explain(error: Exception) -> int:
    if isinstance(error, KivfmError):
        _report(error.message, error.hint)
        return error.exit_code
    if isinstance(error, _ClickError):
        context = getattr(error, "ctx", None)
        _report(error.format_message(), f"{context.command_path if context else 'kivfm'} --help")
        return 2
    if isinstance(error, ValidationError):
        _report("\n  ".join(("invalid values:", *validation_lines(error))))
        return 2
    if isinstance(error, UnicodeEncodeError):
        _report(
            f"{printable(error.object[max(0, error.start - 40) : error.end + 40])}: a name that is"
            f" not {error.encoding.upper()}",
            "rename it, or have this command read names as UTF-8: PYTHONUTF8=1 kivfm ...",
        )
        return 1
    if found := system_error(error):
        number, sentence = found
        _report(sentence, _HINTS.get(number, ""))
        return 1
    _report(f"{type(error).__name__}: {error}", "run it again with --debug for the traceback")
    return 1


# What helps against what the system refuses.
_HINTS = {
    errno.ENOSPC: "make room, and run it again",
    errno.EDQUOT: "make room, and run it again",
    errno.EFBIG: "ulimit -f unlimited",
    errno.EMFILE: "ulimit -n 4096",
}


def _report(message: str, hint: str = "") -> None:
    print(f"error: {escaped(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {escaped(hint)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
