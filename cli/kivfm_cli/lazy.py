"""The lazy command group: a command's file is imported when that command, or the help, needs it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from kivfm_core.errors import UsageError

# In the order in which a new user meets them. A command is a file in `commands/` and a word here.
COMMANDS = (
    "teachers", "plugins", "doctor", "compose", "data", "distill", "head", "evaluate", "compare",
    "probe", "report", "predict", "play", "embed", "export", "push", "demo", "scenes", "cache",
    "runs",
)  # fmt: skip


@contextmanager
def without_collector() -> Generator[None]:
    """Short work without the collector of cyclic garbage.

    While torch is imported, it looks again and again through all that there is, which takes a fifth
    of the time, and finds nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def make_app(**more: Any) -> typer.Typer:
    """A Typer app with rich help on a terminal and plain text when piped."""
    return typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout and sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **{"add_completion": False, **more},
    )


class LazyGroup(TyperGroup):
    """`kivfm NAME` is `app` in `kivfm_cli/commands/NAME.py`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports a command.

        Raises:
            UsageError: If no command has this name; the hint has the nearest one.
        """
        if cmd_name not in COMMANDS:
            near = get_close_matches(cmd_name, COMMANDS, n=1) or ["--help"]
            raise UsageError(f"no command is named {cmd_name!r}", f"kivfm {near[0]}")
        command = typer.main.get_command(import_module(f"kivfm_cli.commands.{cmd_name}").app)
        command.name = cmd_name
        return command
