"""`kivfm demo`: the main job, end to end and offline, by the commands that a user would type."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from shlex import join, quote
from typing import Annotated

import typer

from kivfm_cli.lazy import make_app
from kivfm_core.errors import PluginError, UsageError

app = make_app()

TEACHERS = "dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano"
# The held-out image that is drawn into, and a click on an object in it.
IMAGE = "000003.jpg"
CLICK = "59,90"
DRAWN = {
    "detection": (),
    "instance-segmentation": (),
    "semantic-segmentation": (),
    "promptable-segmentation": ("--points", CLICK),
}


@app.command()
def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="RUN",
            help="Run folder to write, with the time of day in its name if it is there already; "
            "the images are in RUN-data beside it.",
        ),
    ] = Path("runs/demo"),
    steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of optimizer steps.")
    ] = 1300,
    train: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of unlabeled training images.")
    ] = 1500,
    val: Annotated[
        int, typer.Option(metavar="N", min=4, help="Number of labeled, held-out images.")
    ] = 150,
) -> None:
    """Distill five tiny teachers into one student, offline, and compare it with them."""
    if find_spec("kivfm_nano") is None:
        raise PluginError(
            "the demo needs its tiny teachers: kivfm-nano, not installed here",
            "pip install 'kivfm[nano]'",
        )
    began = time.monotonic()
    data = out.with_name(f"{out.name}-data")
    run = out.with_name(f"{out.name}-{time.strftime('%Y%m%d-%H%M%S')}") if out.exists() else out
    # The plan is that of the run: both commands get the same flags.
    flags = (
        *("--teachers", TEACHERS, "--steps", str(steps), "--batch-size", "8"),
        *("--image-size", "96", "--set", "data.views=1", "--set", "student.width=192"),
    )
    images = ("--data", str(data / "train/images"))

    _say(f"The demo data: {train} images, and {val} held out, with labels")
    try:
        _run("scenes", str(data), "--train", str(train), "--val", str(val), "--seed", "0")
    except UsageError as error:
        raise UsageError(error.message, f"kivfm demo --out {quote(f'{out}-2')}") from error
    _say("The plan")
    _run("compose", *flags, *images)
    _say(f"Distilling, {steps} steps")
    _run("distill", *flags, *images, "--out", str(run))
    _say("The student beside its teachers, on held-out images")
    _run("evaluate", str(run), "--data", str(data / "val"))
    _say("Predictions, drawn on an image")
    _draw(run, data / "val/images" / IMAGE)
    _say(f"Done in {time.monotonic() - began:.0f} s")
    _tell(run, flags)


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _run(*words: str) -> None:
    # The program itself, which imports this file.
    from kivfm_cli.app import app as kivfm

    kivfm(list(words), prog_name="kivfm", standalone_mode=False)
    # Progress is on stderr: both are read in the order in which they were written.
    sys.stdout.flush()


def _draw(run: Path, image: Path) -> None:
    folder = run / "predictions"
    folder.mkdir()
    for task, prompt in DRAWN.items():
        with redirect_stdout(StringIO()):
            _run("predict", str(run), str(image), "--task", task, *prompt,
                 "-o", str(folder / f"{task}.png"))  # fmt: skip


def _tell(run: Path, flags: tuple[str, ...]) -> None:
    print(f"run:        {run}")
    print(f"table:      {run}/evaluation.json")
    print(f"predictions: {run}/predictions/")
    print("its boxes without kivfm, in ONNX Runtime (pip install 'kivfm[onnx]'):")
    print(f"  kivfm export {quote(str(run))} --format onnx --task detection -o detector.onnx")
    print("the same with images of your own:")
    print(f"  kivfm distill {join(flags)} --data FOLDER")
    print("the tiny teachers know drawn scenes only; with real ones, which are downloaded first:")
    print("  kivfm distill --teachers dino,clip,sam,detector,segmenter --data FOLDER")
