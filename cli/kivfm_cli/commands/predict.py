"""`kivfm predict`: the student's prediction for an image, by a teacher's own decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.late_help import describe_tasks, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator, read_canvas
from kivfm_cli.output import Json, print_json
from kivfm_core.errors import UsageError

app = make_app()


@app.command(cls=help_with(describe_tasks))
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    image: Annotated[Path, typer.Argument(help="Image file.")],
    task: Annotated[
        str,
        typer.Option("--task", metavar="T", help="Task to solve, such as detection, or `all`."),
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
            metavar="X,Y",
            help="Click in pixels (promptable segmentation only). Repeated: a mask each.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(metavar="S", min=0.0, max=1.0, help="Leave out objects of a lower score."),
    ] = 0.3,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="PNG",
            help="File for an image with the result drawn into it; a folder for all tasks.",
        ),
    ] = None,
    canvas: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Short side in pixels of the one canvas of all tasks, or `own`: each teacher's. "
            "Default: as fine as the finest of these.",
        ),
    ] = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Predict with the student, using a teacher's decoder."""
    clicks = [_point(text) for item in points or [] for text in item.split(";")]
    names = [label.strip() for label in labels.split(",") if label.strip()] if labels else None
    from kivfm_core.prediction.predict import predict as work
    from kivfm_core.student.on_device import find_device

    find_device(accelerator)
    warn_of_changed_teachers(run)
    if task == "all":
        if teacher is not None:
            raise UsageError("--teacher is for one task", "leave --teacher away")
        _predict_all(
            run, image, json, labels=names, points=clicks or None, threshold=threshold, out=out,
            canvas=read_canvas(canvas, "own", "--canvas"), accelerator=accelerator,
        )  # fmt: skip
        return
    if canvas is not None:
        raise UsageError("--canvas is the canvas of all tasks", "--task all")
    found = work(
        run, image, task, teacher=teacher, labels=names, points=clicks or None,
        threshold=threshold, out=out, accelerator=accelerator,
    )  # fmt: skip
    if json:
        print_json(found.as_dict())
        return
    for line in found.lines():
        print(line)
    if out is not None:
        print(f"written: {out}")


def _predict_all(run: Path, image: Path, json: bool, **flags: Any) -> None:
    """Predicts every task, and prints what was found."""
    from kivfm_core.prediction.all_tasks import predict_all

    results = predict_all(run, image, **flags)
    if json:
        print_json({"schema": 1, "predictions": [result.as_dict() for result in results]})
        return
    for result in results:
        print(f"{result.task}, {result.teacher}")
        for line in result.lines():
            print(f"  {line}")
    if flags["out"] is not None:
        print(f"written: {flags['out']}")


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--points {text!r} is not X,Y", "--points 120,80") from None
    return x, y
