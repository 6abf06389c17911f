"""How results look: rich tables on a terminal, aligned text when piped, JSON with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

from kivfm_core.errors import escaped
from kivfm_core.text import table_lines

Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")]


def print_json(data: Mapping[str, Any]) -> None:
    """Prints a record as JSON, with its schema."""
    print(json.dumps({"schema": 1, **data}, indent=1, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a table: rich on a terminal, else one line a row, columns aligned."""
    rows = [[_cell(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, rows, title)
        return
    if title:
        print(title)
    for line in table_lines(columns, rows):
        print(line)


def fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table fits into the terminal; where there is none, every table does."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return not sys.stdout.isatty() or sum(widths) + len(widths) <= get_terminal_size().columns


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    gap = 2 if sum(widths) + 2 * len(widths) <= console.width else 1
    table = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)


_STYLES = {
    "ready": "green",
    "ok": "green",
    "needs": "yellow",
    "broken": "red",
    "failed": "red",
    "conflict": "red",
    "incompatible": "red",
    "wrong": "red",
}


def print_fields(fields: Mapping[str, str]) -> None:
    """Prints names and values, a line each; what is empty is left out."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        if value:
            print(f"{_cell(name.ljust(width))}  {_cell(value)}")


def _cell(text: str) -> str:
    """A text as a table may show it: on one line, and none of it a terminal's command."""
    return escaped(text).replace("\n", "\\n")
