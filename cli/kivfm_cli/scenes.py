"""`kivfm scenes`: pictures to try everything on, drawn from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.group import make_app
from kivfm_core.errors import UsageError
from kivfm_core.scenes import PER_CLASS, TRAIN, VAL

app = make_app()


@app.command()
def scenes(
    folder: Annotated[Path, typer.Argument(help="Where to; nothing is overwritten.")],
    train: Annotated[int, typer.Option(min=0, help="Unlabeled pictures.")] = TRAIN,
    val: Annotated[int, typer.Option(min=0, help="Labeled pictures, held out.")] = VAL,
    seed: Annotated[int, typer.Option(min=0, help="What all of them follow from.")] = 0,
) -> None:
    """Write the demo data: pictures of many domains, labeled in ordinary formats."""
    from kivfm_cli.progress import make_progress
    from kivfm_core.progress import stage
    from kivfm_core.scenes.write import write_scenes

    progress = make_progress()
    try:
        # Who asks for few scenes wants few pictures.
        single = min(PER_CLASS, val)
        write_scenes(
            folder,
            train=train,
            val=val,
            seed=seed,
            per_class=single,
            progress=stage(progress, "drawing"),
        )
    except FileExistsError as error:
        raise UsageError(str(error), f"kivfm scenes {folder}-2") from error
    finally:
        progress.close()
    print(f"pictures: {folder}/train/images; held out, with labels: {folder}/val")
