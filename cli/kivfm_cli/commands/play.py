"""`kivfm play`: a page on this machine to try a model with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator, ModelName, ModelWeights

app = make_app()


@app.command()
def play(
    model: ModelName,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of images to choose from. Default: those of the run."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=65535,
            help="Port of the page. Default: 7860, or any free one.",
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in a browser.")
    ] = False,
    weights: ModelWeights = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Try a model on a page in the browser, beside its teachers.

    The page is served to this machine alone. It loads nothing from the network, and the images that
    are dropped on it are not stored.
    """
    from kivfm_core.playing.serve import check_installed
    from kivfm_core.playing.serve import play as serve

    check_installed()
    from kivfm_core.models.open import open_model

    opened = open_model(model, accelerator, weights)
    if opened.run is not None:
        warn_of_changed_teachers(opened.run.path)
    serve(opened, data, port=port, browser=not no_browser, say=lambda line: print(line, flush=True))
