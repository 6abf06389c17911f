"""`kivfm evaluate`: the student beside its teachers, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.late_help import describe_formats, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import Accelerator
from kivfm_cli.output import Json, print_json, print_table
from kivfm_core.errors import escaped
from kivfm_core.text import percent

app = make_app()


@app.command(cls=help_with(describe_formats))
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="[TASK=]D",
            help="Labeled data, for one task if it is named. May be repeated.",
        ),
    ],
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="T,...",
            help="Tasks to measure, separated by commas. Default: all that have data.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Maximum number of images for each task. Default: all."
        ),
    ] = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Score the student and its teachers on labeled data, and write RUN/evaluation.json."""
    from kivfm_cli.progress import make_progress
    from kivfm_core.evaluation.evaluate import evaluate as work

    progress = make_progress()
    chosen = [task.strip() for task in tasks.split(",") if task.strip()] if tasks else None
    try:
        result = work(
            run, data, tasks=chosen, limit=limit, accelerator=accelerator,
            progress=progress,
        )  # fmt: skip
    finally:
        progress.close()
    record = result.model_dump(mode="json", by_alias=True)
    if json:
        print_json(record)
        return
    render(record)
    print(f"\nwritten: {run / 'evaluation.json'}")


def render(evaluation: dict[str, Any]) -> None:
    """Prints an evaluation: teachers' rows, the base's rows, the summary."""
    bounded = any(row.get("bound_score") is not None for row in evaluation["rows"])
    rows = [
        (
            row["teacher"],
            row["task"],
            row["metric"],
            score(row["teacher_score"]),
            score(row["untrained_score"]),
            score(row["student_score"]),
            percent(row["retention"]),
            percent(row["gain"]),
            *([score(row.get("bound_score"))] if bounded else []),
        )
        for row in evaluation["rows"]
    ]
    columns = ("teacher", "task", "metric", "teacher's", "untrained", "student", "retention")
    columns = (*columns, "gain", *(("bound",) if bounded else ()))
    print_table(columns, rows, "The student beside its teachers")
    if bounded:
        print(
            "bound: the teacher's own score after its levels pass through the shared latent: "
            "an upper bound for the student"
        )
    if evaluation["base"]:
        print()
        base = [
            (row["metric"], score(row["base_score"]), score(row["student_score"]))
            for row in evaluation["base"]
        ]
        print_table(("preserved from the base", "base", "student"), base)
    bad: dict[str, int] = {}
    for row in (*evaluation["rows"], *evaluation["base"]):
        data = row.get("data", "")
        bad[data] = max(bad.get(data, 0), row.get("bad", 0))
    for data, number in bad.items():
        if number:
            print(f"skipped, since they cannot be decoded: {number} images of {escaped(data)}")
    for what in evaluation.get("skipped", ()):
        print(f"not measured: {escaped(what)}")
    summary = evaluation["summary"]
    print(
        f"\nretention: mean {percent(summary['retention_mean'])}, "
        f"least {percent(summary['retention_min'])}; "
        f"gain: mean {percent(summary['gain_mean'])}, least {percent(summary['gain_min'])}"
    )


def score(value: float | None) -> str:
    """A score in 0..1, `-` if there is none."""
    return "-" if value is None else f"{value:.3f}"
