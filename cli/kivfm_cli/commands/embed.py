"""`kivfm embed`: features of whole folders in a file, and the search in it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.lazy import make_app
from kivfm_cli.options import (
    Accelerator,
    Devices,
    ModelName,
    ModelWeights,
    Nodes,
    listed,
    start_team,
)
from kivfm_cli.output import Json, print_json, print_table
from kivfm_cli.prompts import parse_box
from kivfm_core.errors import UsageError, escaped, printable

app = make_app()

# So many broken images are named.
NAMED = 10


@app.command()
def embed(
    model: ModelName,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Folders, image files, or quoted patterns; a tar; a URL; with --nearest, a file "
            "of features."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="File to write: .parquet, .npz or .safetensors."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="A", help="Teacher whose levels to store, in place of the student's features."
        ),
    ] = None,
    maps: Annotated[
        str | None,
        typer.Option(metavar="L,...", help="Dense maps to store, too, separated by commas."),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Store maps averaged to N x N places. Default: whole."
        ),
    ] = None,
    latent: Annotated[
        bool,
        typer.Option(
            "--latent",
            help="Store what all teachers share, z of an image and Z of its places, in place of "
            "the student's x and its maps.",
        ),
    ] = False,
    nearest: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Search a file of features for K images nearest to --query.",
        ),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="Q", help="Image file, or a text, to search for.")
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Search for this part of --query's image, in its pixels; needs --latent features.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Search for what is not black in this image, of the size of --query's; needs "
            "--latent features.",
        ),
    ] = None,
    weights: ModelWeights = None,
    accelerator: Accelerator = "auto",
    devices: Devices = None,
    nodes: Nodes = None,
    json: Json = False,
) -> None:
    """Write a model's features of images to a file, or search in such a file.

    Writing goes on where it was stopped when the same command is given again. Several devices share
    the images.

    A search by text needs the features of a text-image teacher (--teacher), or what such a teacher
    shares with the others (--latent).
    """
    if (nearest is None) != (query is None):
        raise UsageError("--nearest and --query go together", "--nearest 10 --query photo.jpg")
    if (nearest is None) == (out is None):
        raise UsageError("give either -o or --nearest", "-o features.parquet")
    more: dict[str, Any] = {"weights": weights, "accelerator": accelerator}
    if nearest is not None and query is not None:
        warn_of_changed_teachers(Path(model))
        if len(images) > 1 or teacher or maps or pool or latent:
            raise UsageError("--nearest takes one file of features, and no flags that make one")
        more |= {"box": parse_box(box) if box else None, "mask": mask}
        _search(model, images[0], query, nearest, json, more)
        return
    if box or mask:
        raise UsageError("--box and --mask are parts of --query", "--nearest 10 --query photo.jpg")
    more |= {"teacher": teacher, "maps": listed(maps), "pool": pool, "latent": latent}
    with start_team(devices, nodes, accelerator) as team:
        _write(model, images, out or Path(), json, {**more, "team": team})


def _write(model: str, images: list[str], out: Path, json: bool, more: dict[str, Any]) -> None:
    from kivfm_cli.progress import make_progress
    from kivfm_core.embedding.embed import embed as work

    if more["team"].is_first:
        warn_of_changed_teachers(Path(model))
    with closing(make_progress(more["team"])) as progress:
        done = work(model, images, out, progress=progress, **more)
    if not more["team"].is_first:
        return
    if json:
        print_json(done.as_dict())
        return
    made = done.manifest
    for line in done.broken[:NAMED]:
        print(f"passed over: {escaped(line)}")
    if len(done.broken) > NAMED:
        print(f"passed over: {len(done.broken) - NAMED} more, all named in the file's manifest")
    maps = "".join(f", {name} {shape}" for name, shape in made["maps"].items())
    what = f"{made['level']} [{made['channels']}]{maps}"
    print(f"written: {printable(out)}: {done.images} images, {what}")


def _search(model: str, index: str, query: str, k: int, json: bool, more: dict[str, Any]) -> None:
    from kivfm_core.embedding.nearest import nearest

    hits = nearest(model, index, query, k=k, **more)
    if json:
        print_json({"index": index, "query": query, "hits": [vars(hit) for hit in hits]})
        return
    print_table(("score", "file"), [(f"{hit.score:.4f}", printable(hit.file)) for hit in hits])
