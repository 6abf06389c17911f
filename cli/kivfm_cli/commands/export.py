"""`kivfm export`: a model as a file that runs without kivfm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.lazy import make_app
from kivfm_cli.options import ClassNames, Decoder, ModelName, ModelWeights, listed
from kivfm_cli.output import Json, print_json
from kivfm_core.errors import UsageError
from kivfm_core.exports.formats import FORMATS

app = make_app()
_CHOICES = "; ".join(f"{kind.name} ({kind.summary})" for kind in FORMATS.values())


@app.command()
def export(
    model: ModelName,
    format: Annotated[str, typer.Option(metavar="F", help=f"Format: {_CHOICES}.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="File to write.")],
    task: Annotated[
        str | None, typer.Option(metavar="T", help="Task to export. Default: the features.")
    ] = None,
    teacher: Decoder = None,
    labels: ClassNames = None,
    height: Annotated[
        int | None,
        typer.Option(metavar="H", min=1, help="Height of the canvas in pixels. Default: its own."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(metavar="W", min=1, help="Width of the canvas in pixels. Default: its own."),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Leave height and width open, if the model allows it.")
    ] = False,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--check",
            metavar="IMAGE",
            help="Image, or folder of images, to check the file with: at least eight, of which at "
            "most 64 are taken. Default: drawn scenes.",
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="D", help="What to compute in: fp32, fp16 (onnx), bf16 (torch-export)."
        ),
    ] = "fp32",
    quantize: Annotated[
        str | None,
        typer.Option(metavar="int8", help="Quantize to eight bits (onnx only)."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images to quantize with: they give the ranges."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="D", help="Measure the task on [FORMAT:]PATH, by the model and the export."
        ),
    ] = None,
    keep: Annotated[
        float,
        typer.Option(
            metavar="P", min=0, max=1, help="Least share of the score that the file must keep."
        ),
    ] = 0.98,
    weights: ModelWeights = None,
    json: Json = False,
) -> None:
    """Write a model, or one of its tasks, as a file that runs without kivfm, and check it."""
    if (height is None) != (width is None):
        raise UsageError("a canvas has a height and a width", "--height 224 --width 224")
    from kivfm_core.exports.export import export as work
    from kivfm_core.models.open import open_model

    size = (height, width) if height and width else None
    done = work(
        open_model(model, "cpu", weights), format, out, task=task, teacher=teacher,
        labels=listed(labels) or None, size=size, images=images,
        dtype=dtype, dynamic=dynamic, quantize=quantize, calibration=calibration, data=data,
        keep=keep,
    )  # fmt: skip
    if json:
        print_json(done.card)
        return
    for name, error in done.errors.items():
        shape = ", ".join(str(side) for side in done.card["outputs"][name])
        print(f"{name} [{shape}]: largest error {error:.1e} of its largest value")
    print(f"checked on {done.card['checked']['images']} images")
    if scores := done.scores:
        print(
            f"{scores.metric} on {scores.images} images: {scores.export:.4f}, by PyTorch"
            f" {scores.pytorch:.4f} ({scores.kept:.1%});"
            f" by PyTorch on canvases of its own {scores.own:.4f}"
        )
    others = [name for name in done.card["files"] if name != done.file.name]
    print(f"written: {', '.join([str(done.file), *others, f'{done.file.name}.json'])}")
