"""`kivfm evaluate`: the student beside its teachers, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
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
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File for this evaluation alone. Default: add it to RUN/evaluation.json.",
        ),
    ] = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
) -> None:
    """Score the student and its teachers on labeled data, and write RUN/evaluation.json.

    The file keeps earlier results of the same student that were measured on other data, tasks or
    numbers of images.
    """
    from kivfm_cli.progress import make_progress
    from kivfm_core.evaluation.evaluate import measure_run
    from kivfm_core.evaluation.hold import hold_run
    from kivfm_core.evaluation.store import find_place
    from kivfm_core.runs.run import open_run
    from kivfm_core.student.on_device import find_device

    progress = make_progress()
    chosen = [task.strip() for task in tasks.split(",") if task.strip()] if tasks else None
    find_device(accelerator)
    warn_of_changed_teachers(run)
    opened = open_run(run)
    place = find_place(opened.path, out)  # before anything is measured
    with hold_run(opened.path, out):
        try:
            result = measure_run(
                opened, data, tasks=chosen, limit=limit, accelerator=accelerator, progress=progress
            )
        finally:
            progress.close()
        record = result.model_dump(mode="json", by_alias=True)
        # Printed before it is written: what was measured is not lost with a full disk.
        if json:
            print_json(record)
        else:
            render(record)
        whole = place.write(result)
    if not json:
        more = len(whole.rows) + len(whole.base) - len(result.rows) - len(result.base)
        print(f"\nwritten: {place.file}" + (f", beside {more} earlier rows" if more else ""))


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
            _counted(row, "pictures"),
            _counted(row, "objects"),
            *([score(row.get("bound_score"))] if bounded else []),
        )
        for row in evaluation["rows"]
    ]
    columns = ("teacher", "task", "metric", "teacher's", "untrained", "student", "retention")
    columns = (*columns, "gain", "images", "objects", *(("bound",) if bounded else ()))
    print_table(columns, rows, "The student beside its teachers")
    if bounded:
        print(
            "bound: the teacher's own score after its levels pass through the shared latent: "
            "an upper bound for the student"
        )
    if evaluation["base"]:
        print()
        base = [
            (
                row["metric"],
                score(row["base_score"]),
                score(row["student_score"]),
                _counted(row, "pictures"),
            )
            for row in evaluation["base"]
        ]
        print_table(("preserved from the base", "base", "student", "images"), base)
    bad: dict[str, int] = {}
    for row in (*evaluation["rows"], *evaluation["base"]):
        data = row.get("data", "")
        bad[data] = max(bad.get(data, 0), row.get("bad", 0))
    for data, number in bad.items():
        if number:
            print(f"skipped, since they cannot be decoded: {number} images of {escaped(data)}")
    for what in evaluation.get("skipped", ()):
        print(f"not measured: {escaped(what)}")
    for row in evaluation["rows"]:
        if row.get("at_chance"):
            print(
                f"nothing to retain: {escaped(row['teacher'])}, {row['task']},"
                f" {escaped(row['data'])}: its {score(row['teacher_score'])} is no better than"
                f" chance, {score(row['chance_score'])}"
            )
    _render_summary(evaluation["summary"])


def _render_summary(summary: dict[str, Any]) -> None:
    part = summary.get("limit")
    print(
        f"\nretention: mean {percent(summary['retention_mean'])}, "
        f"least {percent(summary['retention_min'])}; "
        f"gain: mean {percent(summary['gain_mean'])}, least {percent(summary['gain_min'])}"
        + (f"; of at most {part} images of each source" if part else "")
    )
    if left := summary.get("left_out"):
        print(f"left out of these: {left} rows, at chance or of fewer images than others")


def _counted(row: dict[str, Any], what: str) -> str:
    """How many images or objects a row rests on, `-` if it does not say."""
    number, limit = row.get(what), row.get("limit")
    if number is None:
        return "-"
    return f"{number} (a part)" if limit and what == "pictures" else str(number)


def score(value: float | None) -> str:
    """A score in 0..1, `-` if there is none."""
    return "-" if value is None else f"{value:.3f}"
