"""`kivfm probe`: frozen features by the protocols of papers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from kivfm_cli.lazy import make_app
from kivfm_cli.options import (
    Accelerator,
    Devices,
    Limit,
    ModelName,
    ModelWeights,
    Nodes,
    listed,
    start_team,
)
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.errors import UsageError, escaped, printable
from kivfm_core.probing.protocol import Norm, Settings
from kivfm_core.run_files import slug

app = make_app()


@app.command()
def probe(
    model: ModelName,
    val: Annotated[str, typer.Option("--val", metavar="D", help="Images to score, with labels.")],
    train: Annotated[
        str | None,
        typer.Option("--train", metavar="D", help="Images to learn from, with labels."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="P,...",
            help="Protocols, separated by commas: knn, knn-l2, logistic, sgd, dense-linear, "
            "retrieval, cka.",
        ),
    ] = "knn",
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="A", help="Teacher whose levels to measure, in place of the student's features."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Optimizer steps of a classifier (sgd, dense-linear). Default: the protocol's.",
        ),
    ] = None,
    size: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Side of the square canvas, pixels (dense-linear)."),
    ] = 512,
    norm: Annotated[
        str,
        typer.Option(metavar="N", help="Norm of the classifier: batch or layer (dense-linear)."),
    ] = "batch",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model to compare levels with (cka). Default: a student's teachers, each with its "
            "stand-in.",
        ),
    ] = None,
    limit: Limit = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Folder for the features and the record. Default: probes/MODEL.",
        ),
    ] = None,
    weights: ModelWeights = None,
    accelerator: Accelerator = "auto",
    devices: Devices = None,
    nodes: Nodes = None,
    json: Json = False,
) -> None:
    """Measure a model's frozen features by the protocols of papers.

    Features are computed once and kept in DIR: the same command goes on where it was stopped, and
    other protocols take what is there. Several devices share the images.
    """
    from kivfm_cli.progress import make_progress
    from kivfm_core.probing.probe import probe as work

    folder = out or Path("probes") / slug(str(model).strip("./~"))
    with (
        start_team(devices, nodes, accelerator) as team,
        closing(make_progress(team)) as progress,
    ):
        result = work(
            model, val, train=train, protocols=listed(protocol), out=folder,
            settings=Settings(limit, teacher, size, as_norm(norm), steps, against),
            weights=weights, accelerator=accelerator, progress=progress, team=team,
        )  # fmt: skip
    if not team.is_first:
        return
    record = result.model_dump(mode="json", by_alias=True)
    if json:
        print_json({**record, "out": str(folder)})
        return
    render(record)
    print(f"written: {printable(folder / 'probe.json')}")


def as_norm(text: str) -> Norm:
    """A norm by its name."""
    found = next((norm for norm in get_args(Norm) if norm == text), None)
    if found is None:
        raise UsageError(f"there is no norm {text!r}", "--norm batch, or --norm layer")
    return found


def render(record: dict[str, Any]) -> None:
    """Prints what was measured: the table, then notes."""
    columns = ["protocol", "metric", "features", "score", "95 %", "chance", "train", "images"]
    lines = [
        [
            row["protocol"],
            row["metric"],
            row["features"],
            f"{row['score']:.3f}",
            "-" if row["interval"] is None else "{:.3f} to {:.3f}".format(*row["interval"]),
            "-" if row["chance"] is None else f"{row['chance']:.3f}",
            str(row["train_images"] or "-"),
            str(row["images"]),
        ]
        for row in record["rows"]
    ]
    print_table(columns, lines)
    if bad := max(row["bad"] for row in record["rows"]):
        print(f"skipped, since they cannot be decoded: {bad} images")
    for note in record["notes"]:
        print(f"note: {escaped(note)}")
