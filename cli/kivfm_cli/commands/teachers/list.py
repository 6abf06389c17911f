"""`kivfm teachers list`: every teacher that is installed, and every plugin that failed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kivfm_cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from kivfm_core.registry.entry import Entry


def list_command(
    wide: Annotated[
        bool,
        typer.Option("--wide", help="Show all columns on a terminal, as in a pipe or file."),
    ] = False,
    json: Json = False,
) -> None:
    """List teachers, libraries usable by name (as timm/NAME), and plugins that failed to load."""
    from kivfm_cli.commands.teachers.describe import describe_entry
    from kivfm_core.registry.registry import list_teachers

    entries = list_teachers()
    teachers = [entry for entry in entries if entry.provider is None]
    providers = [entry for entry in entries if entry.provider is not None]
    if json:
        print_json(
            {
                "teachers": [describe_entry(entry) for entry in teachers],
                "providers": [describe_entry(entry) for entry in providers],
            }
        )
        return
    teachers.sort(key=lambda entry: (entry.status != "ready", entry.bare))
    _print(teachers, providers, wide or not sys.stdout.isatty())
    problems = [entry for entry in entries if entry.cause or entry.heavy]
    if problems:
        print()
    for entry in problems:
        slow = f"imports {entry.heavy} at discovery ({entry.milliseconds:.0f} ms)"
        print(f"{entry.name} ({entry.distribution}): {entry.cause or slow}")
        if entry.hint:
            print(f"  {entry.hint}")


def _print(teachers: Sequence[Entry], providers: Sequence[Entry], wide: bool) -> None:
    """Prints the table of teachers, and that of the libraries."""
    from kivfm_cli.commands.teachers import describe

    if wide:
        print_table(describe.COLUMNS, [describe.row(entry) for entry in teachers])
    else:
        print_table(describe.NARROW_COLUMNS, [describe.narrow_row(entry) for entry in teachers])
        print("* The family's name alone means this one. More columns: --wide")
    rows = [
        (f"{e.provider.prefix}NAME", e.provider.summary, f"{e.distribution} {e.version}")
        for e in providers
        if e.provider and e.status == "ready"
    ]
    short = [
        (name, e.provider.whole(name) or "", f"{e.distribution} {e.version}")
        for e in providers
        if e.provider and e.status == "ready"
        for name in e.provider.names
    ]
    for first, second, lines in (("by name", "what", rows), ("short", "stands for", short)):
        if lines:
            print()
            columns = (first, second, "distribution")
            print_table(columns[: 3 if wide else 2], [line[: 3 if wide else 2] for line in lines])
