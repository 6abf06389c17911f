"""`kivfm head`: a decoder for one's own classes, trained on a student's features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from kivfm_cli.late_help import describe_heads, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator, ModelWeights
from kivfm_cli.output import Json, print_fields, print_json, print_table
from kivfm_core.errors import UsageError, escaped, one_line, printable
from kivfm_core.head_training.settings import HeadSettings

app = make_app()


@app.command(cls=help_with(describe_heads))
def head(
    model: Annotated[
        str, typer.Argument(help="Run folder of a finished run, or a teacher to use as it is.")
    ],
    task: Annotated[str, typer.Option(metavar="T", help="Task that the head is to solve.")],
    data: Annotated[str, typer.Option(metavar="D", help="Images to learn from, with labels.")],
    val: Annotated[str, typer.Option(metavar="D", help="Images to validate on, with labels.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the new run.")],
    kind: Annotated[
        str | None,
        typer.Option(metavar="K", help="Kind of head. Default: the first that solves the task."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Name of the head: predict takes it as --teacher head/N. Default: K."
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of optimizer steps, at most.")
    ] = 500,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=2, help="Number of images in a step.")
    ] = 16,
    lr: Annotated[
        float | None,
        typer.Option(metavar="X", help="Learning rate at the start. Default: the kind's own."),
    ] = None,
    augment: Annotated[
        bool,
        typer.Option(
            "--augment",
            help="Flip, zoom and recolor images anew in each step. The student then runs in each "
            "step, instead of once for each image.",
        ),
    ] = False,
    every: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of steps between validations.")
    ] = 50,
    patience: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Stop after N validations without a better score."),
    ] = 5,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Learn from at most N images, evenly spread."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed.")] = 0,
    unfreeze: Annotated[
        Literal["none", "adapter", "all"],
        typer.Option(
            metavar="U",
            help="What of the student is trained with the head: none, adapter, or all (base, "
            "adapter and aligners).",
        ),
    ] = "none",
    keep: Annotated[
        float,
        typer.Option(
            metavar="W",
            min=0,
            help="Weight of the penalty that keeps stand-ins where they were (with --unfreeze); "
            "0: no penalty.",
        ),
    ] = 1.0,
    reads: Annotated[
        str | None,
        typer.Option(
            metavar="F,...",
            help="Features of the student that the head reads, separated by commas, such as "
            "V,P16,D1. Default: all that its kind can read.",
        ),
    ] = None,
    base_alone: Annotated[
        bool,
        typer.Option(
            "--base-alone",
            help="Train on the base of the run's student alone, without what was distilled.",
        ),
    ] = False,
    weights: ModelWeights = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Train a head for your own classes on a student's features, as a new run.

    The student and its other decoders stay as they are, and the head is one more decoder. With
    --unfreeze the student is trained, too, and a table shows how far each of its stand-ins moved.
    If MODEL is a teacher, the new run's student is that teacher as it is. The weights with the best
    score on --val are kept. The same command goes on where it was stopped.
    """
    from kivfm_cli.progress import make_progress
    from kivfm_core.head_training.make import default_kind, train_head

    chosen = kind or default_kind(task)
    try:
        settings = HeadSettings(
            task=task, kind=chosen, name=name or chosen, data=data, val=val, steps=steps,
            batch_size=batch_size, lr=lr, augment=augment, every=every, patience=patience,
            limit=limit, seed=seed, unfreeze=unfreeze, keep=keep,
            reads=tuple(reads.split(",")) if reads is not None else None,
        )  # fmt: skip
    except ValidationError as error:
        raise UsageError(one_line(error), "kivfm head --help") from error
    progress = make_progress()
    try:
        made = train_head(
            model, settings, out, base_alone=base_alone, weights=weights, accelerator=accelerator,
            progress=progress,
        )  # fmt: skip
    finally:
        progress.close()
    record: dict[str, Any] = {"schema": 1, **vars(made), "run": printable(made.run)}
    if json:
        print_json(record)
        return
    print_fields(
        {
            "run": record["run"],
            "head": made.head,
            **({"classes": str(len(made.classes))} if made.classes else {}),
            "images": str(made.images),
            made.metric: f"{made.score:.3f} after {made.best_step} of {made.steps} steps, on {val}",
        }
    )
    if made.changes:
        rows = [
            [teacher, level, f"{change:.1%}"]
            for teacher, levels in made.changes.items()
            for level, change in levels.items()
        ]
        print_table(["stand-in", "level", "moved"], rows)
    for note in made.notes:
        print(f"note: {escaped(note)}")
