"""`kivfm evaluate`: a student beside its teachers, task by task, or a teacher alone."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.changed_teachers import warn_of_changed_teachers
from kivfm_cli.late_help import describe_formats, help_with
from kivfm_cli.lazy import make_app
from kivfm_cli.options import (
    Accelerator,
    Devices,
    LabeledData,
    Limit,
    ModelName,
    ModelWeights,
    Nodes,
    Tasks,
    listed,
    read_canvas,
    start_team,
)
from kivfm_cli.output import Json, fits, print_json, print_table
from kivfm_core.errors import UsageError, escaped
from kivfm_core.text import percent

app = make_app()


@app.command(cls=help_with(describe_formats))
def evaluate(
    model: ModelName,
    data: LabeledData,
    tasks: Tasks = None,
    limit: Limit = None,
    weights: ModelWeights = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File for this evaluation alone. Default: add it to RUN/evaluation.json; of a "
            "bundle or a teacher, print it only.",
        ),
    ] = None,
    shared_canvas: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Also measure the student on one canvas for all tasks, of this short side in "
            "pixels; `auto`: as fine as the finest of the teachers'.",
        ),
    ] = None,
    agreement: Annotated[
        bool,
        typer.Option(
            "--agreement",
            help="Take each teacher's own predictions for the truth; D is a folder or tar of "
            "images, here or at a URL, and no labels are read.",
        ),
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Classes for zero-shot (--agreement only)."),
    ] = None,
    accelerator: Accelerator = "auto",
    devices: Devices = None,
    nodes: Nodes = None,
    json: Json = False,
) -> None:
    """Score a student and its teachers on labeled data, or a teacher alone.

    With --agreement, a student is scored by what its teachers predict: no labels are needed.

    Of a run, RUN/evaluation.json keeps earlier results of the same student that were measured on
    other data, tasks or numbers of images. A bundle is measured beside those of its teachers whose
    weights are on this machine.

    Several devices share the images of the tasks.
    """
    from kivfm_cli.progress import make_progress
    from kivfm_core.evaluation.agreement.agree import Wanted, measure_agreement
    from kivfm_core.evaluation.evaluate import measure_model
    from kivfm_core.evaluation.hold import hold_run
    from kivfm_core.evaluation.store import find_place
    from kivfm_core.models.open import open_model

    if labels and not agreement:
        raise UsageError("--labels are for --agreement", "labeled data brings its own classes")
    if agreement and shared_canvas is not None:
        raise UsageError("--agreement is not measured on a shared canvas", "give one of them")
    if agreement and (devices or nodes):
        raise UsageError("--agreement is measured on one device", "leave out --devices and --nodes")
    with start_team(devices, nodes, accelerator) as team:
        chosen = listed(tasks) or None
        opened = open_model(model, accelerator, weights)
        if opened.run is not None and team.is_first:
            warn_of_changed_teachers(opened.run.path)
        place = find_place(opened, out)  # before anything is measured
        with hold_run(opened.run, out) if team.is_first else nullcontext():
            with closing(make_progress(team)) as progress:
                if agreement:
                    wanted = Wanted(chosen, limit, tuple(listed(labels)))
                    result = measure_agreement(opened, data, wanted, progress)
                else:
                    result = measure_model(
                        opened, data, tasks=chosen, limit=limit, progress=progress,
                        shared_canvas=read_canvas(shared_canvas, "auto", "--shared-canvas"),
                        team=team,
                    )  # fmt: skip
            if not team.is_first:
                return
            record = result.model_dump(mode="json", by_alias=True)
            # Printed before it is written: what was measured is not lost with a full disk.
            if json:
                print_json(record)
            else:
                render(record)
            if place is None:
                return
            whole = place.write(result)
        if not json:
            more = len(whole.rows) + len(whole.base) - len(result.rows) - len(result.base)
            print(f"\nwritten: {place.file}" + (f", beside {more} earlier rows" if more else ""))


# Scores, and their columns. One is left out where no row has it, as of a teacher alone.
SCORES = {
    "teacher_score": "teacher's",
    "untrained_score": "untrained",
    "student_score": "student",
    "chance_score": "chance",
    "retention": "retention",
    "gain": "gain",
    "bound_score": "bound",
    "shared_score": "shared",
}


def render(evaluation: dict[str, Any]) -> None:
    """Prints an evaluation: teachers' rows, the base's rows, the summary."""
    scores = [k for k in SCORES if any(row.get(k) is not None for row in evaluation["rows"])]
    compared = {"teacher_score", "student_score"} <= set(scores)
    if scores:
        who = "teacher" if "student_score" not in scores else "student"
        title = "The student beside its teachers" if compared else f"The {who} alone"
        _render_rows(evaluation["rows"], scores, title, evaluation.get("draws", 0))
    if "bound_score" in scores:
        print(
            "bound: the teacher's own score after its levels pass through the shared latent: "
            "an upper bound for the student"
        )
    if "shared_score" in scores:
        _render_shared(evaluation["rows"])
    _render_features(evaluation["base"])
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
    if compared:
        _render_summary(evaluation["summary"], evaluation["rows"])


def _render_rows(rows: list[dict[str, Any]], scores: list[str], title: str, draws: int) -> None:
    known = any(row.get(f"{_stem(key)}_interval") for row in rows for key in scores)
    narrow = [key for key in scores if key != "chance_score"]
    # Where there is less room, intervals are left out, then chance.
    for keys, ends in ((scores, known), (scores, False), (narrow, False)):
        columns, lines = _table(rows, keys, ends)
        if keys is narrow or fits(columns, lines):
            print_table(columns, lines, title)
            if ends:
                print(f"±: half of the 95 % interval, by drawing the images anew {draws} times")
            return


def _table(
    rows: list[dict[str, Any]], scores: list[str], ends: bool
) -> tuple[list[str], list[list[str]]]:
    """Columns and lines of a table of scores, with or without their intervals."""
    # The bound stands last, after the numbers that the others rest on.
    bound = [key for key in scores if key == "bound_score"]
    first = [key for key in scores if key not in bound]
    lines = [
        [
            row["teacher"],
            row["task"],
            row["metric"],
            *(_cell(row, key, ends) for key in first),
            _counted(row, "pictures"),
            _counted(row, "objects"),
            *(_cell(row, key, ends) for key in bound),
        ]
        for row in rows
    ]
    names = ["teacher", "task", "metric", *(SCORES[key] for key in first), "images", "objects"]
    return [*names, *(SCORES[key] for key in bound)], lines


def _cell(row: dict[str, Any], key: str, ends: bool) -> str:
    """A score or share, with half of its interval where that is known and wanted."""
    write = percent if key in ("retention", "gain") else score
    own = row.get(f"{_stem(key)}_interval")
    text = write(row.get(key))
    if own is None or not ends or row.get(key) is None:
        return text
    # The unit once: 81.2±3.4 %.
    number, space, unit = text.partition(" ")
    half = write((own[1] - own[0]) / 2).partition(" ")[0]
    return f"{number}±{half}{space}{unit}"


def _stem(key: str) -> str:
    """The name of a score, to which that of its interval is added."""
    return key.removesuffix("_score")


def _render_shared(rows: list[dict[str, Any]]) -> None:
    """The least that is kept on the canvas that all stand-ins share."""
    kept = [
        (row["shared_score"] / row["student_score"], row)
        for row in rows
        if row.get("shared_score") is not None and row["student_score"]
    ]
    if kept:
        share, row = min(kept, key=lambda pair: pair[0])
        print(
            f"shared: one canvas for all tasks, {row['shared_canvas']} pixels on the short side, "
            f"keeps at least {percent(share)} of the student's score ({row['task']})"
        )


def _render_features(rows: list[dict[str, Any]]) -> None:
    """The base's own features beside the student's, or those of one of them alone."""
    if not rows:
        return
    whose = [who for who in ("base", "student") if rows[0].get(f"{who}_score") is not None]
    two = ("preserved from the base", "base", "student", "images")
    columns = two if len(whose) == 2 else ("own features", "score", "images")

    def lines(ends: bool) -> list[list[str]]:
        return [
            [
                row["metric"],
                *(_cell(row, f"{who}_score", ends) for who in whose),
                _counted(row, "pictures"),
            ]
            for row in rows
        ]

    print()
    print_table(columns, lines(fits(columns, lines(ends=True))))


def _render_summary(summary: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    if any(row.get("agreement") for row in rows):
        print(
            f"\nagreement: mean {_with_ends(summary, 'agreement_mean')}, "
            f"least {_with_ends(summary, 'agreement_min')}: with what each teacher predicts itself,"
            " no labels"
        )
        return
    part = summary.get("limit")
    print(
        f"\nretention: mean {_with_ends(summary, 'retention_mean')}, "
        f"least {_with_ends(summary, 'retention_min')}; "
        f"gain: mean {_with_ends(summary, 'gain_mean')}, least {_with_ends(summary, 'gain_min')}"
        + (f"; of at most {part} images of each source" if part else "")
    )
    if left := summary.get("left_out"):
        print(f"rows left out of these, at chance or of fewer images than others: {left}")


def _with_ends(summary: dict[str, Any], key: str) -> str:
    """A share, with its interval if there is one."""
    ends = summary.get(f"{key}_interval")
    low_high = f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})" if ends else ""
    return percent(summary[key]) + low_high


def _counted(row: dict[str, Any], what: str) -> str:
    """How many images or objects a row rests on, `-` if it does not say."""
    number, limit = row.get(what), row.get("limit")
    if number is None:
        return "-"
    return f"{number} (a part)" if limit and what == "pictures" else str(number)


def score(value: float | None) -> str:
    """A score in 0..1, `-` if there is none."""
    return "-" if value is None else f"{value:.3f}"
