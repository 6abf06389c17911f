"""`kivfm report`: a page that shows what came out of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.lazy import make_app
from kivfm_core.errors import printable
from kivfm_core.text import size

app = make_app()


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder, finished or not.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="File to write or replace. Default: report.html in the run folder.",
        ),
    ] = None,
) -> None:
    """Write one HTML page that shows what came out of a run; it needs no network.

    The page has the command line, paths and names of files as the run recorded them.
    """
    from kivfm_core.reporting.page import write_report

    file = write_report(run, out)
    print(f"written: {printable(file)} ({size(file.stat().st_size)})")
