"""How results look: rich tables on a terminal, aligned text when piped, JSON when asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def print_json(data: Mapping[str, Any]) -> None:
    """Prints a record as JSON, with its schema."""
    print(json.dumps({"schema": 1, **data}, indent=1, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Prints a table: rich on a terminal, else one line a row, columns aligned."""
    if sys.stdout.isatty():
        _print_rich(columns, rows, title)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if title:
        print(title)
    for row in (columns, *rows):
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    gap = 1 if len(columns) > 8 else 2  # many columns need the room on a narrow terminal
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
    Console().print(table)


_STYLES = {
    "ready": "green",
    "ok": "green",
    "needs": "yellow",
    "broken": "red",
    "conflict": "red",
    "incompatible": "red",
    "wrong": "red",
}


def print_fields(fields: Mapping[str, str]) -> None:
    """Prints names and values, a line each; what is empty is left out."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        if value:
            print(f"{name.ljust(width)}  {value}")


def count(number: int) -> str:
    """A count of parameters, such as `86.6 M`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def size(number: int | None) -> str:
    """A size in bytes, such as `330 MB`."""
    if number is None:
        return "size unknown"
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= one:
            return f"{number / one:.3g} {unit}"
    return f"{number} B"


def percent(share: float | None) -> str:
    """A share as a percentage, `-` if there is none; adding 0.0 turns -0.0 into 0.0."""
    return "-" if share is None else f"{round(100 * share, 1) + 0.0:.1f} %"
