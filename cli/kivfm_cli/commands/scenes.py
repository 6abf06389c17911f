"""`kivfm scenes`: the demo images, drawn from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.lazy import make_app
from kivfm_core.errors import UsageError
from kivfm_core.scenes import PER_CLASS, TRAIN, VAL

app = make_app()


@app.command()
def scenes(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")],
    train: Annotated[
        int, typer.Option(metavar="N", min=0, help="Number of unlabeled training images.")
    ] = TRAIN,
    val: Annotated[
        int, typer.Option(metavar="N", min=0, help="Number of labeled, held-out images.")
    ] = VAL,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed.")] = 0,
) -> None:
    """Write the demo data: drawn images in several styles, labeled in common formats."""
    from kivfm_cli.progress import make_progress
    from kivfm_core.progress import stage
    from kivfm_core.scenes.write import write_scenes

    progress = make_progress()
    count = stage(progress, "drawing")
    try:
        # Fewer held-out scenes mean fewer held-out images of single objects, too.
        single = min(PER_CLASS, val)
        write_scenes(folder, train=train, val=val, seed=seed, per_class=single, progress=count)
    except FileExistsError as error:
        raise UsageError(str(error), f"kivfm scenes {folder}-2") from error
    finally:
        progress.close()
    print(f"images: {folder}/train/images; held out, with labels: {folder}/val")
