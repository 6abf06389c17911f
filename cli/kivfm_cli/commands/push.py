"""`kivfm push`: a student on a model hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.lazy import make_app

app = make_app()


@app.command()
def push(
    run: Annotated[Path, typer.Argument(help="Run folder, or a bundle's.")],
    name: Annotated[str, typer.Argument(help="Its name on the hub: ORG/NAME.")],
    private: Annotated[
        bool, typer.Option("--private", help="Hide it from everyone but ORG.")
    ] = False,
    dry_run: Annotated[
        Path | None,
        typer.Option(
            "--dry-run",
            metavar="DIR",
            help="Write what would go up into this new folder, and upload nothing.",
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Images that everyone may see: predictions for four go into the model card.",
        ),
    ] = None,
) -> None:
    """Upload a student with its model card to a model hub, where others load it by its name."""
    from kivfm_core.sharing.push import push as work

    place = work(run, name, private=private, dry_run=dry_run, samples=samples)
    if dry_run is not None:
        print(f"written: {place}; nothing was uploaded")
        return
    print(f"pushed: {place}")
    print(f"next: kivfm predict {name} IMAGE --task T")
