"""`kivfm predict`: the student's prediction for an image, by a teacher's own decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.late_help import describe_tasks, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator
from kivfm_cli.output import Json, print_json
from kivfm_cli.prompts import parse_box, parse_clicks

app = make_app()


@app.command(cls=help_with(describe_tasks))
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    image: Annotated[Path, typer.Argument(help="Image file.")],
    task: Annotated[
        str, typer.Option("--task", metavar="T", help="Task to solve, such as detection.")
    ],
    teacher: Annotated[
        str | None,
        typer.Option(metavar="A", help="Teacher whose decoder to use, if several solve the task."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Names of the classes (zero-shot only).")
    ] = None,
    points: Annotated[
        list[str] | None,
        typer.Option(
            "--points",
            metavar="X,Y;...",
            help="Clicks of a prompt, in pixels (promptable segmentation only); "
            "'not X,Y' is on what is not meant. Repeated: a mask each.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            metavar="X0,Y0,X1,Y1",
            help="Box around what is meant; of the same prompt as the --points of the same "
            "position. Repeated: a mask each.",
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON file of prompts, in place of --points and --box."),
    ] = None,
    everything: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=128,
            help="Segment everything, in place of prompts: by N x N clicks, such as 16.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(metavar="S", min=0.0, max=1.0, help="Leave out objects of a lower score."),
    ] = 0.3,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="PNG", help="File for an image with the result drawn into it."
        ),
    ] = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Predict with the student, using a teacher's decoder."""
    clicks = [parse_clicks(text) for text in points or []]
    boxes = [parse_box(text) for text in box or []]
    names = [label.strip() for label in labels.split(",") if label.strip()] if labels else None
    from kivfm_core.prediction.predict import predict as work
    from kivfm_core.student.on_device import find_device

    find_device(accelerator)
    warn_of_changed_teachers(run)
    found = work(
        run, image, task, teacher=teacher, labels=names, points=clicks or None,
        boxes=boxes or None, prompts=prompts, everything=everything,
        threshold=threshold, out=out, accelerator=accelerator,
    )  # fmt: skip
    if json:
        print_json(found.as_dict())
        return
    for line in found.lines():
        print(line)
    if out is not None:
        print(f"written: {out}")
