"""`kivfm predict`: a model's prediction for an image, or the labels of many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.late_help import describe_tasks, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator
from kivfm_cli.output import Json, print_json
from kivfm_core.errors import UsageError

if TYPE_CHECKING:
    from kivfm_core.prediction.folder import Labeled

app = make_app()


@app.command(cls=help_with(describe_tasks))
def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Run folder, bundle, or teacher's name.")
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image file; or several, folders, and patterns such as 'photos/**/*.jpg', of "
            "which labels are saved.",
        ),
    ],
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
            metavar="X,Y",
            help="Click in pixels (promptable segmentation only). Repeated: a mask each.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(metavar="S", min=0.0, max=1.0, help="Leave out objects of a lower score."),
    ] = 0.3,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B", help="Keep only these of the model's classes.")
    ] = None,
    top: Annotated[
        int, typer.Option(metavar="N", min=1, help="List so many classes of an image.")
    ] = 5,
    suppress: Annotated[
        float | None,
        typer.Option(
            metavar="IOU",
            min=0.0,
            max=1.0,
            help="Of objects whose boxes overlap by more, keep only the best, whatever their "
            "classes. Default: 0.7 where boxes are drawn; all are listed and saved.",
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Save labels: coco, yolo, voc, masks, csv or jsonl. "
            "Default for several images: the first that can hold the task's results.",
        ),
    ] = None,
    draw: Annotated[
        bool, typer.Option("--draw", help="With labels, save drawings, too: OUT/drawings.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the labels that are in OUT first.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="File for the image with the result drawn into it; with labels, their folder.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights of a teacher, in place of its own."),
    ] = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Predict with a model, or label whole folders of images with it.

    Labeling goes on where it was stopped when the same command is given again.
    """
    clicks = [_point(text) for item in points or [] for text in item.split(";")]
    prompt = {"labels": _names(labels), "points": clicks or None}
    from kivfm_core.data.named_images import is_one_file
    from kivfm_core.models.open import open_model

    opened = open_model(model, accelerator, weights)
    warn_of_changed_teachers(Path(model))
    many = save is not None or draw or overwrite or not is_one_file(images)
    if not many:
        from kivfm_core.prediction.predict import predict as work

        found = work(
            opened, images[0], task, teacher=teacher, **prompt, threshold=threshold,
            classes=_names(classes), top=top, suppress=suppress, out=out,
        )  # fmt: skip
        if json:
            print_json(found.as_dict())
            return
        for line in found.lines():
            print(line)
        if out is not None:
            print(f"written: {out}")
        return
    if out is None:
        raise UsageError("the labels of several images need a folder", "-o labels")
    from kivfm_cli.progress import make_progress
    from kivfm_core.prediction.folder import predict_folder
    from kivfm_core.prediction.wanted import Wanted

    wanted = Wanted(threshold, tuple(_names(classes) or ()) or None, top, suppress)
    progress = make_progress()
    try:
        done = predict_folder(
            opened, images, task, out, save=save, draw=draw, overwrite=overwrite, teacher=teacher,
            prompt=prompt, wanted=wanted, progress=progress,
        )  # fmt: skip
    finally:
        progress.close()
    print_json(done.as_dict()) if json else _say(done)


def _say(done: Labeled) -> None:
    """What was done, then what was not, a line each."""
    rate = done.images_per_second
    before = f", {done.before} were labeled before" if done.before else ""
    print(f"{done.images} images labeled{before}" + (f" ({rate:.1f} images/s)" if rate else ""))
    for note in done.notes:
        print(f"note: {note}")
    if done.broken:
        print(f"left out: {len(done.broken)}")
        for line in done.broken:
            print(f"  {line}")
    print(f"written: {done.out} ({done.format})")


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--points {text!r} is not X,Y", "--points 120,80") from None
    return x, y
