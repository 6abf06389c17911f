"""`kivfm data`: labeled images, as evaluation reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.late_help import describe_all_formats, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.errors import DataError, UsageError, escaped, printable

app = make_app(no_args_is_help=True, help="Look at labeled images.")

# Classes in a table; JSON has all.
SHOWN = 20


@app.callback()
def _group() -> None:
    pass


@app.command(cls=help_with(describe_all_formats))
def check(
    path: Annotated[str, typer.Argument(help="Labeled data, [FORMAT:]PATH.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="PNG", help="File for a sheet of images with the labels drawn."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what would be read: formats, tasks, images, objects, classes, and what is passed over.

    The exit code is 1 if there is nothing, or something cannot be read.
    """
    from kivfm_core.data.contents import find_contents
    from kivfm_core.data.sources import formats_of, parse_source
    from kivfm_core.registry.registry import get_tasks
    from kivfm_core.tasks.table import KNN, RETRIEVAL

    tasks = (*get_tasks().values(), KNN, RETRIEVAL)
    source = parse_source(path, {kind.name for task in tasks for kind in formats_of(task)})
    found = find_contents(source, tasks)
    if json:
        print_json({"data": str(source), "formats": [contents.as_dict() for contents in found]})
    else:
        render(found)
    readable = [contents for contents in found if contents.data is not None]
    if out is not None and readable:
        _keep_the_data(out, source.path)
        _write_sheet(readable, out, quiet=json)
    if len(readable) < len(found) or not found:
        broken = [contents for contents in found if contents.problem]
        if broken:
            raise DataError(f"{broken[0].format}: {broken[0].problem}")
        raise DataError(f"{source} has no labels in a known format", "kivfm data check --help")


def render(found: list) -> None:
    """Prints the formats, the classes of each, and the notes."""
    rows = [
        (c.format, ", ".join(c.tasks), str(c.images), _count(c.objects), _count(c.masks))
        for c in found
        if c.data is not None
    ]
    if rows:
        print_table(("format", "tasks", "images", "objects", "with masks"), rows)
    for contents in found:
        counts = sorted(contents.counts, key=lambda pair: -pair[1])
        if counts:
            print()
            what = "images" if contents.objects is None else "objects"
            rows = [(name, str(number)) for name, number in counts[:SHOWN]]
            print_table((f"{contents.format}: class", what), rows)
            if len(counts) > SHOWN:
                rest = sum(number for _, number in counts[SHOWN:])
                print(f"and {len(counts) - SHOWN} more classes, with {rest} {what}")
        if contents.texts is not None:
            print(f"\n{contents.format}: {contents.texts} texts of {contents.images} images")
        if contents.notes:
            print()
        for note in contents.notes:
            print(f"{contents.format}: {escaped(note)}")


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


def _keep_the_data(out: Path, data: Path) -> None:
    """Refuses to write the sheet over an image or a mask."""
    folder = data if data.is_dir() else data.parent
    if out.exists() and out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{printable(out)} is part of the data", "-o labels.png")


def _write_sheet(readable: list, out: Path, *, quiet: bool) -> None:
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UsageError(f"{out} is no name of an image", "--out labels.png")
    # It imports torch, and only a sheet needs that.
    from kivfm_cli.contact_sheet import write_sheet

    # Objects show more of the data than classes do.
    best = max(readable, key=lambda contents: (contents.objects or 0, contents.images))
    count = write_sheet(best.data, out)
    if not quiet:
        print(f"\nwritten: {out}, {count} images of {best.format}")
