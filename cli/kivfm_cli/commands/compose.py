"""`kivfm compose`: the plan of a student and its costs, before any weight is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kivfm_cli import options as o
from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_fields, print_json, print_table

if TYPE_CHECKING:
    from kivfm_core.composition.summary import Summary

app = make_app()


@app.command()
@o.configured
def compose(
    *,
    flags: dict[str, Any],
    config: Path | None,
    sets: list[str] | None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write the configuration to a file for `distill --config`.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Plan a student: its parts, shapes and costs, the downloads, and the license it inherits.

    Needs no weights and no network.
    """
    made = o.make_config(config, sets, flags, "compose")
    from kivfm_core.config import dump_config
    from kivfm_core.planner.preview import compose as plan

    summary = plan(made).summary()
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(dump_config(made), encoding="utf-8")
    if json:
        print_json(summary.as_dict())
        return
    render(summary)
    if out is not None:
        print(f"\nwritten: {out}; next: kivfm distill --config {out}")


def render(summary: Summary) -> None:
    """Prints the report: the text of the core, with tables as this terminal shows them."""
    print_fields(summary.fields())
    for table in (summary.parts(), summary.work()):
        print()
        print_table(table.columns, table.rows)
    for line in (*summary.totals(), "", *summary.remarks()):
        print(line)
