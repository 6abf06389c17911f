"""`kivfm report`: a page that shows what came out of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator, listed
from kivfm_core.errors import KivfmError, UsageError, printable
from kivfm_core.text import size

if TYPE_CHECKING:
    from kivfm_core.reporting.gallery import Gallery

app = make_app()


# A parameter for each flag.
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
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="D",
            help="Folder or tar of images that networks are run on, for drawings. "
            "Default: the run's own, if they are there.",
        ),
    ] = None,
    images: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Number of images that networks are run on."),
    ] = 32,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Classes for drawings of zero-shot.")
    ] = None,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="Run no network: show the records alone.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Write the page anew every 5 seconds, from the records alone, until the run ends.",
        ),
    ] = False,
    accelerator: Accelerator = "auto",
) -> None:
    """Write one HTML page that shows what came out of a run; it needs no network.

    The page has the command line, paths and names of files as the run recorded them. Of a finished
    run it has drawings, too: its networks are run on some images.
    """
    from kivfm_core.reporting.page import keep_other_files, write_report

    if out is not None:
        keep_other_files(out)  # before networks run
    if no_images and data is not None:
        raise UsageError("--data is for images, and --no-images wants none", "give one of them")
    if watch and data is not None:
        raise UsageError("--watch shows the records alone", "leave out --data")
    if watch:
        file = _watch(run, out)
    else:
        names = tuple(listed(labels))
        gallery = None if no_images else _gallery(run, data, images, names, accelerator)
        file = write_report(run, out, gallery)
    print(f"written: {printable(file)} ({size(file.stat().st_size)})")


def _watch(run: Path, out: Path | None) -> Path:
    from kivfm_core.reporting.watch import EVERY, watch_run

    told: list[Path] = []

    def tell(file: Path) -> None:
        if not told:
            line = f"{printable(file)} is written every {EVERY} seconds; Ctrl-C ends that"
            print(line, file=sys.stderr, flush=True)
        told.append(file)

    return watch_run(run, out, EVERY, tell)


def _gallery(
    run: Path, data: Path | None, limit: int, labels: tuple[str, ...], accelerator: str
) -> Gallery | None:
    """The drawings of the page; None if student or images are of no use."""
    from kivfm_core.reporting.images import find_data

    if (found := find_data(run, data)) is None:
        return None
    from kivfm_cli.progress import make_progress
    from kivfm_core.reporting.figures.make import make_gallery

    line = f"for drawings, networks are run on at most {limit} images of {printable(found)}"
    print(line if data is not None else f"{line}; --no-images leaves that out", file=sys.stderr)
    progress = make_progress()
    try:
        return make_gallery(
            run, found, limit=limit, labels=labels, accelerator=accelerator, progress=progress
        )
    except KivfmError as error:
        if data is not None:
            raise
        # Nobody named images: the records are shown without plugins and weights, too.
        print(f"no networks are run: {printable(error.message)}", file=sys.stderr)
        return None
    finally:
        progress.close()
