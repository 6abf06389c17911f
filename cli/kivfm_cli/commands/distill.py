"""`kivfm distill`: from teachers and images to a student."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli import options as o
from kivfm_cli.lazy import make_app
from kivfm_core.errors import UsageError

app = make_app()


def _extend(
    flags: dict[str, Any], config: Path | None, start: Path | None, added: str | None
) -> Path:
    """Sets the earlier run's teachers plus the added ones; returns that run's configuration."""
    if start is None or added is None or config is not None or flags["teachers"] is not None:
        raise UsageError(
            "--from and --add-teacher go together, without --teachers and --config",
            "kivfm distill --from RUN --add-teacher NAME",
        )
    from kivfm_core.composition.composition import read_composition
    from kivfm_core.run_files import RunFiles

    flags["teachers"] = ",".join([*(s.name for s in read_composition(start).teachers), added])
    return RunFiles(start).config_file


@app.command()
@o.configured
def distill(
    *,
    flags: dict[str, Any],
    config: Path | None,
    sets: list[str] | None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Run folder to write. Default: runs/DATE-TIME."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Resume this run; --steps changes its total number of steps."
        ),
    ] = None,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Allow --resume to change teachers, data or other settings.",
        ),
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Start from this run's student; its teachers stay as they are.",
        ),
    ] = None,
    add_teacher: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Teachers to add to the student of --from, separated by commas.",
        ),
    ] = None,
) -> None:
    """Distill teachers into one student, and write it to a run folder."""
    if resume is not None:
        if out is not None or start is not None or add_teacher is not None:
            raise UsageError(
                "--resume continues a run in its folder, so leave out --out, --from, --add-teacher",
                f"kivfm distill --resume {resume}",
            )
        from kivfm_core.runs.run import open_run

        file = config or open_run(resume).config_file
        made = o.make_config(file, sets, flags, "distill")
    else:
        if start is not None or add_teacher is not None:
            config = _extend(flags, config, start, add_teacher)
            sets = [*(sets or []), f"student.start={json.dumps(str(start))}"]
        made = o.make_config(config, sets, flags, "distill")
        # Names are checked before torch is imported, so that a typing error is reported at once.
        from kivfm_core.composition.compose import compose

        compose(made)
    from kivfm_cli.progress import make_progress
    from kivfm_core.distillation.engine import distill as work
    from kivfm_core.processes.launch import is_first

    with closing(make_progress()) as progress:
        run = work(made, out=out, resume=resume, allow_changes=allow_changes, progress=progress)
    if not is_first():
        return
    print(f"run: {run}")
    print(f"next: kivfm evaluate {run} --data D; kivfm predict {run} IMAGE --task T -o OUT.png")
