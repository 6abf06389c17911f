"""`kivfm distill`: from teachers and pictures to a student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli import options as o
from kivfm_cli.group import make_app
from kivfm_core.errors import UsageError

app = make_app()


@app.command()
@o.configured
def distill(
    *,
    flags: dict[str, Any],
    config: Path | None,
    sets: list[str] | None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="The run folder; runs/DATE-TIME."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run; --steps changes its length."),
    ] = None,
) -> None:
    """Distill teachers into one student, and write a run folder."""
    if resume is not None:
        asked = {**flags, "config": config, "set": sets, "out": out}
        given = [k for k, value in asked.items() if value is not None and k != "steps"]
        if given:
            words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise UsageError(
                f"a resumed run keeps its own configuration, so leave out {words}",
                f"kivfm distill --resume {resume}",
            )
        made = None
    else:
        made = o.make_config(config, sets, flags, "distill")
        # Names are checked before torch is imported: a typing error is answered at once.
        from kivfm_core.compose import compose

        compose(made)
    from kivfm_cli.progress import make_progress
    from kivfm_core.distill import distill as work

    progress = make_progress()
    try:
        run = work(
            made,
            out=out,
            resume=resume,
            steps=flags["steps"] if resume else None,
            progress=progress,
        )
    finally:
        progress.close()
    print(f"run: {run}")
    print(f"next: kivfm evaluate {run} --data D; kivfm predict {run} IMAGE --task T -o OUT.png")
