"""`kivfm predict`: a model's prediction for an image, or the labels of many."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.late_help import describe_tasks, help_with
from kivfm_cli.lazy import make_app, without_collector
from kivfm_cli.options import (
    Accelerator,
    ClassNames,
    Decoder,
    Devices,
    ModelName,
    ModelWeights,
    Nodes,
    listed,
    read_canvas,
    start_team,
)
from kivfm_cli.output import Json, print_json
from kivfm_cli.prompts import parse_box, parse_clicks
from kivfm_core.errors import UsageError

if TYPE_CHECKING:
    from kivfm_core.models.model import Model
    from kivfm_core.prediction.folder import Labeled
    from kivfm_core.prediction.result import Prediction

app = make_app()


@app.command(cls=help_with(describe_tasks))
def predict(
    model: ModelName,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Image file; or several, folders, patterns such as 'photos/**/*.jpg', a tar or a "
            "URL, of which labels are saved.",
        ),
    ],
    task: Annotated[
        str,
        typer.Option("--task", metavar="T", help="Task to solve, such as detection, or `all`."),
    ],
    teacher: Decoder = None,
    labels: ClassNames = None,
    points: Annotated[
        list[str] | None,
        typer.Option(
            "--points",
            metavar="X,Y;...",
            help="Clicks of a prompt, in pixels (promptable segmentation only); "
            "'not X,Y' marks what is not meant. Repeated: a mask each.",
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
            help="File for the image with the result drawn into it; with labels or all tasks, "
            "their folder.",
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
    weights: ModelWeights = None,
    accelerator: Accelerator = "auto",
    devices: Devices = None,
    nodes: Nodes = None,
    json: Json = False,
) -> None:
    """Predict with a model, or label whole folders of images with it.

    Labeling goes on where it was stopped when the same command is given again. Several devices
    share the images of a folder.
    """
    prompt = {
        "labels": listed(labels) or None,
        "points": [parse_clicks(text) for text in points or []] or None,
        "boxes": [parse_box(text) for text in box or []] or None,
        "prompts": prompts,
        "everything": everything,
    }
    from kivfm_core.data.named_images import is_one_file

    one = save is None and not draw and not overwrite and is_one_file(images)
    _check_all_tasks(
        task, one, canvas, teacher=teacher, prompts=prompts, everything=everything,
        classes=classes, suppress=suppress,
    )  # fmt: skip
    if not one and out is None:
        raise UsageError("the labels of several images need a folder", "-o labels")
    if one and (devices or nodes):
        raise UsageError("one image is for one device", "leave out --devices and --nodes")
    chosen, selected = tuple(listed(classes)), {"top": top, "suppress": suppress}
    # For one image, importing is most of the work.
    with (
        without_collector() if one else nullcontext(),
        start_team(devices, nodes, accelerator) as team,
    ):
        from kivfm_core.models.open import open_model

        opened = open_model(model, accelerator, weights)
        if opened.run is not None and team.is_first:
            warn_of_changed_teachers(opened.run.path)
        if task == "all":
            canvas = read_canvas(canvas, "own", "--canvas")
            del prompt["prompts"], prompt["everything"]
            _predict_all(
                opened, images[0], json, **prompt, threshold=threshold, canvas=canvas, out=out
            )
            return
        if one:
            from kivfm_core.prediction.predict import predict as work

            found = work(
                opened, images[0], task, teacher=teacher, **prompt, threshold=threshold,
                classes=chosen, **selected, out=out,
            )  # fmt: skip
            _show(found, out, json)
            return
        from kivfm_cli.progress import make_progress
        from kivfm_core.prediction.folder import predict_folder
        from kivfm_core.prediction.wanted import Wanted

        assert out is not None
        wanted = Wanted(threshold, chosen or None, **selected)
        with closing(make_progress(team)) as progress:
            done = predict_folder(
                opened, images, task, out, save=save, draw=draw, overwrite=overwrite,
                teacher=teacher, prompt=prompt, wanted=wanted, progress=progress, team=team,
            )  # fmt: skip
        if team.is_first:
            print_json(done.as_dict()) if json else _say(done)


def _check_all_tasks(task: str, one: bool, canvas: str | None, **single: Any) -> None:
    """Refuses what is for one task beside `all`, and what is for all beside one."""
    if task != "all":
        if canvas is not None:
            raise UsageError("--canvas is the canvas of all tasks", "--task all")
        return
    for name, value in single.items():
        if value is not None:
            raise UsageError(f"--{name} is for one task", f"leave out --{name}")
    if not one:
        raise UsageError("all tasks are solved for one image at a time", "give one image file")


def _predict_all(model: Model, image: str, json: bool, **flags: Any) -> None:
    """Predicts every task, and prints what was found."""
    from kivfm_core.prediction.all_tasks import predict_all

    results = predict_all(model, image, **flags)
    if json:
        print_json({"schema": 1, "predictions": [result.as_dict() for result in results]})
        return
    for result in results:
        print(f"{result.task}, {result.teacher}")
        for line in result.lines():
            print(f"  {line}")
    if flags["out"] is not None:
        print(f"written: {flags['out']}")


def _show(found: Prediction, out: Path | None, json: bool) -> None:
    if json:
        print_json(found.as_dict())
        return
    for line in found.lines():
        print(line)
    if out is not None:
        print(f"written: {out}")


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
