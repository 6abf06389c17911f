"""`kivfm compare`: models side by side on the same data."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.late_help import describe_formats, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator, LabeledData, Limit, Tasks, listed
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.errors import UsageError, escaped, printable
from kivfm_core.text import count

app = make_app()


@app.command(cls=help_with(describe_formats))
def compare(
    models: Annotated[
        list[str],
        typer.Argument(help="Run folders, bundle folders, or teachers."),
    ],
    data: LabeledData,
    tasks: Tasks = None,
    limit: Limit = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the tables as a page.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables as Markdown.")
    ] = False,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Compare runs, bundles and teachers on the same labeled data.

    Differences are to the first model that solves a task. Both are scored on the same images, drawn
    anew; an asterisk marks a difference that is more than the choice of images makes.
    """
    from kivfm_cli.progress import make_progress
    from kivfm_core.evaluation.compare import compare_models
    from kivfm_core.files import write_text
    from kivfm_core.models.open import open_model

    if json and markdown:
        raise UsageError("--json and --markdown exclude each other", "give one of them")
    if html is not None and not html.parent.is_dir():  # before anything is measured
        raise UsageError(f"{printable(html)} cannot be written: no such folder", "--html FILE")
    progress = make_progress()
    chosen = listed(tasks) or None
    opened = [open_model(name, accelerator) for name in models]
    try:
        found = compare_models(opened, data, tasks=chosen, limit=limit, progress=progress)
    finally:
        progress.close()
    record = found.model_dump(mode="json")
    tables = {"Scores": _scores(record), "Models": _models(record)}
    if html is not None:
        write_text(html, _page(tables, record["skipped"]))
    if json:
        print_json(record)
        return
    for title, (columns, lines) in tables.items():
        if markdown:
            print(f"## {title}\n\n{_as_markdown(columns, lines)}\n")
        else:
            print_table(columns, lines, title)
            print()
    for line in record["skipped"]:
        print(f"not measured: {escaped(line)}")
    if html is not None:
        print(f"written: {printable(html)}")


Table = tuple[list[str], list[list[str]]]


def _scores(record: dict[str, Any]) -> Table:
    columns = ["task", "metric", "data", "model", "decoder", "score", "95 %", "difference", "95 %"]
    lines = [
        [
            row["task"],
            row["metric"],
            row["data"],
            row["model"],
            row["teacher"],
            f"{row['score']:.3f}",
            _ends(row["score_interval"], ".3f"),
            "-" if row["difference"] is None else f"{row['difference']:+.3f}",
            _ends(row["difference_interval"], "+.3f") + (" *" if row["beyond_chance"] else ""),
        ]
        for row in record["rows"]
    ]
    return columns, lines


def _models(record: dict[str, Any]) -> Table:
    columns = ["model", "parameters", "images/s", "license", "commercial use"]
    lines = [
        [
            model["model"],
            count(model["parameters"]),
            f"{model['images_per_second']:.1f}",
            model["license"],
            model["commercial_use"],
        ]
        for model in record["models"]
    ]
    return columns, lines


def _ends(ends: list[float] | None, form: str) -> str:
    return "-" if ends is None else f"{ends[0]:{form}} to {ends[1]:{form}}"


def _as_markdown(columns: list[str], lines: list[list[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    cells = [[escaped(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _page(tables: dict[str, Table], skipped: list[str]) -> str:
    """The tables as a page that needs nothing else."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8"><title>kivfm compare</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<style>:root{color-scheme:light dark}body{font:16px system-ui;margin:2rem}"
        "div{overflow-x:auto}td,th{padding:.3rem .8rem;text-align:left}"
        "th{border-bottom:1px solid}</style>",
        "<h1>Models on the same data</h1>",
    ]
    for title, (columns, lines) in tables.items():
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>\n" for line in lines
        )
        parts += [f"<h2>{title}</h2>", f"<div><table><tr>{head}</tr>\n{body}</table></div>"]
    parts.append(
        "<p>Differences are to the first model that solves the task; * marks one that is more than"
        " the choice of images makes.</p>"
    )
    parts += [f"<p>not measured: {escape(line)}</p>" for line in skipped]
    return "\n".join(parts) + "\n"
