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
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Go on with other teachers, data or settings, too."),
    ] = False,
) -> None:
    """Distill teachers into one student, and write a run folder."""
    if resume is not None:
        if out is not None:
            raise UsageError(
                "a resumed run stays where it is, so leave out --out",
                f"kivfm distill --resume {resume}",
            )
        from kivfm_core.run import open_run

        file = config or open_run(resume).path / "config.toml"
        made = o.make_config(file, sets, flags, "distill")
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
            allow_changes=allow_changes,
            progress=progress,
        )
    finally:
        progress.close()
    print(f"run: {run}")
    print(f"next: kivfm evaluate {run} --data D; kivfm predict {run} IMAGE --task T -o OUT.png")
