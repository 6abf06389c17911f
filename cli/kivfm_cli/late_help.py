"""What stands below a command's help, made when the help is shown: plugins have their say in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand

from kivfm_core.task import Measured

# What a prompt's flag is given by, where that is not the flag of its name alone.
SAID = {"prompts": "--points, --box, --prompts or --everything"}


def help_with(describe: Callable[[], str]) -> type[TyperCommand]:
    """A command whose help ends with a text that takes time to make.

    Args:
        describe: Makes the text; paragraphs are separated by empty lines.
    """

    class Command(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.epilog = describe()
            super().format_help(ctx, formatter)

    return Command


def describe_formats() -> str:
    """The label formats, and which tasks can be measured on each."""
    return _formats()


def describe_heads() -> str:
    """The kinds of heads."""
    from kivfm_core.heads.table import HEADS

    lines = [f"{kind.name}: {kind.summary} For {kind.task}." for kind in HEADS.values()]
    return "\n\n".join(("Kinds of heads:", *lines))


def describe_all_formats() -> str:
    """The same, with the formats that `kivfm evaluate` measures nothing on."""
    from kivfm_core.tasks.table import RETRIEVAL

    return _formats(RETRIEVAL)


def _formats(*others: Measured) -> str:
    from kivfm_core.data.sources import formats_of
    from kivfm_core.registry.registry import get_tasks
    from kivfm_core.tasks.table import KNN

    needs: dict[str, str] = {}
    tasks: dict[str, list[str]] = {}
    for task in (*get_tasks().values(), KNN, *others):
        for kind in formats_of(task):
            needs[kind.name] = kind.needs
            tasks.setdefault(kind.name, []).append(task.name)
    lines = [f"{name}: {needs[name]}. For {', '.join(tasks[name])}." for name in needs]
    return "\n\n".join(("Formats of labeled data, as in --data FORMAT:PATH:", *lines))


def describe_tasks() -> str:
    """Every task, with what it needs besides an image."""
    from kivfm_core.registry.registry import get_tasks

    lines = ["Tasks:"]
    for task in get_tasks().values():
        flags = [SAID.get(flag, f"--{flag}") for flag in task.prompt.flags] if task.prompt else []
        needs = f" Needs {' and '.join(flags)}." if flags else ""
        lines.append(f"{task.name}: {task.summary}{needs}")
    return "\n\n".join(lines)
