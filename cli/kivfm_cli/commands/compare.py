"""`kivfm compare`: models side by side on the same data."""

from __future__ import annotations

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
    seeds: Annotated[
        bool,
        typer.Option(
            "--seeds",
            help="Average runs whose configurations differ only by the seed: the mean, and the "
            "standard deviation between them.",
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write all this as a page.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables as Markdown.")
    ] = False,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Compare runs, bundles and teachers on the same labeled data.

    Differences are to the first model that solves a task. Their intervals come from a bootstrap:
    both models are scored on the same random draws of the images. An asterisk marks a difference
    whose interval does not contain 0. With --seeds, intervals are over images and seeds.
    """
    from kivfm_cli.progress import make_progress
    from kivfm_core.evaluation.compare import compare_models
    from kivfm_core.files import write_text
    from kivfm_core.models.open import open_model
    from kivfm_core.reporting.comparison import render_comparison
    from kivfm_core.reporting.page import keep_other_files, open_templates

    if json and markdown:
        raise UsageError("--json and --markdown exclude each other", "give one of them")
    if html is not None and not html.parent.is_dir():  # before anything is measured
        raise UsageError(f"{printable(html)} cannot be written: no such folder", "--html FILE")
    if html is not None:
        keep_other_files(html)
        open_templates()  # if they cannot be, that is said before anything is measured, too
    progress = make_progress()
    chosen = listed(tasks) or None
    opened = [open_model(name, accelerator) for name in models]
    try:
        found = compare_models(
            opened, data, tasks=chosen, limit=limit, seeds=seeds, progress=progress
        )
    finally:
        progress.close()
    record = found.model_dump(mode="json")
    scores = _averages(record) if seeds else _scores(record)
    tables = {"Scores": scores, "Models": _models(record)}
    if html is not None:
        write_text(html, render_comparison(found))
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
    own = [[row["model"], row["teacher"], f"{row['score']:.3f}"] for row in record["rows"]]
    return _measured(["model", "decoder", "score"], own, record["rows"])


def _averages(record: dict[str, Any]) -> Table:
    own = [
        [
            row["group"],
            row["teacher"],
            str(len(row["runs"])),
            f"{row['score']:.3f}",
            "-" if row["deviation"] is None else f"{row['deviation']:.3f}",
        ]
        for row in record["averages"]
    ]
    names = ["first run", "decoder", "runs", "mean", "deviation"]
    return _measured(names, own, record["averages"])


def _measured(names: list[str], own: list[list[str]], rows: list[dict[str, Any]]) -> Table:
    """A table of scores: what was measured, the columns of its own, and the differences."""
    columns = ["task", "metric", "data", *names, "95 %", "difference", "95 %"]
    lines = [
        [
            row["task"],
            row["metric"],
            row["data"],
            *cells,
            _ends(row["score_interval"], ".3f"),
            *_difference(row),
        ]
        for row, cells in zip(rows, own, strict=True)
    ]
    return columns, lines


def _difference(row: dict[str, Any]) -> tuple[str, str]:
    """A difference and its interval, with an asterisk if it is beyond chance."""
    value, ends = row["difference"], _ends(row["difference_interval"], "+.3f")
    return "-" if value is None else f"{value:+.3f}", ends + " *" * bool(row["beyond_chance"])


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
