"""`kivfm runs`: lists, shows and edits run folders, without torch where it only reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_fields, print_json, print_table
from kivfm_core.errors import KivfmError, UsageError, one_line, printable, system_error
from kivfm_core.run_files import RunFiles, list_runs
from kivfm_core.text import percent

app = make_app(
    no_args_is_help=True, help="List, show and edit runs: the folders that `distill` writes."
)


@app.command("list")
def list_command(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the runs.")] = Path("runs"),
    json: Json = False,
) -> None:
    """List the runs in a folder."""
    runs = [_describe_any(run) for run in list_runs(folder)]
    if json:
        print_json({"runs": runs})
        return
    if not runs:
        print(f"no runs in {folder}; kivfm distill makes one")
        return
    columns = ("run", "teachers", "step", "student", "retention", "gain")
    rows = [
        (
            run["run"],
            ", ".join(printable(name) for name in run["teachers"]),
            "-" if run["cause"] else f"{run['step']}/{run['steps']}",
            _status(run),
            percent((run["summary"] or {}).get("retention_mean")),
            percent((run["summary"] or {}).get("gain_mean")),
        )
        for run in runs
    ]
    print_table(columns, rows)
    for run in runs:
        if run["cause"]:
            print(f"{run['run']} is unreadable: {run['cause']}")
        if run["failed"]:
            print(f"{run['run']} failed: {run['failed']}")


@app.command()
def show(run: Annotated[Path, typer.Argument(help="Run folder.")], json: Json = False) -> None:
    """Show a run: its teachers, progress, weights and scores."""
    files = RunFiles(run)
    if not files.composition_file.is_file():
        raise UsageError(f"{run} is no run folder", "kivfm runs list")
    record = describe(files)
    if json:
        print_json(record)
        return
    from kivfm_core.composition.summary import round_trips

    trips = record["round_trip"]
    print_fields(
        {
            "run": record["run"],
            "teachers": ", ".join(record["teachers"]),
            "base": record["base"] or "none",
            "step": f"{record['step']} of {record['steps']}",
            **({"shared latent": f"keeps {round_trips(trips)}"} if trips else {}),
            "student": str(files.bundle) if record["student"] else "not written yet",
            "failed": record["failed"] or "",
            "time": _time(record),
            **{f"weights {name}": text for name, text in record["weights"].items()},
        }
    )
    if shared := record["shared"]:
        print()
        _print_shared(shared)
    if evaluation := files.evaluation:
        from kivfm_cli.commands.evaluate import render

        print()
        render(evaluation)


def _print_shared(shared: dict[str, Any]) -> None:
    """How much of each teacher is shared, and with whom."""
    columns = shared["others"]  # a teacher that was added later has a column only
    rows = {**shared["teachers"], "all others": columns}
    print_table(
        ("what they share: by", *(f"of {printable(name)}" for name in columns)),
        [
            (
                printable(by),
                *("" if by == name or name not in row else percent(row[name]) for name in columns),
            )
            for by, row in rows.items()
        ],
    )


@app.command()
def remove(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished run.")],
    teacher: Annotated[str, typer.Argument(help="Name of the teacher to remove.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the new run.")],
) -> None:
    """Remove a teacher from a student, as a new run; the other teachers' outputs do not change."""
    from kivfm_core.runs.remove_teacher import remove_teacher

    print(f"run: {remove_teacher(run, teacher, out)}")


@app.command()
def delete(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
) -> None:
    """Delete run folders with all that is in them, without asking; not while one is written."""
    from kivfm_core.runs.delete import delete_run

    for run in runs:
        delete_run(run)
        print(f"deleted: {printable(run)}")


def _status(run: dict[str, Any]) -> str:
    if run["cause"]:
        return "unreadable"
    if not run["student"]:
        return "unfinished"
    return "failed" if run["failed"] else "ready"


def _describe_any(run: RunFiles) -> dict[str, Any]:
    """As `describe`; of a run that cannot be read, the cause and nothing else."""
    try:
        return describe(run)
    except (KivfmError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        cause = error.message if isinstance(error, KivfmError) else _said(error)
    keys = ("base", "step", "steps", "shared", "predicted_seconds", "took_seconds", "failed")
    nothing = dict.fromkeys(keys)
    empty = {"teachers": [], "student": False, "weights": {}, "round_trip": {}, "summary": None}
    return {"run": printable(run.path), **nothing, **empty, "cause": printable(cause)}


def _said(error: BaseException) -> str:
    """An error that is none of kivfm's, as a sentence."""
    found = system_error(error) if isinstance(error, OSError) else None
    return found[1] if found else one_line(error)


def describe(run: RunFiles) -> dict[str, Any]:
    """What a run folder records of its run, as JSON."""
    plan, environment, costs = run.read_composition(), run.environment, run.costs
    summary = run.evaluation.get("summary")
    weights = environment.get("weights", {})
    return {
        "run": printable(run.path),
        "teachers": [spec["name"] for spec in plan["teachers"]],
        "base": plan["base"],
        "step": run.steps,
        "steps": run.read_config().get("optim", {}).get("steps"),
        "student": run.has_student,
        "weights": {name: f"{w['source']} sha256 {w['sha256']}" for name, w in weights.items()},
        "round_trip": environment.get("round_trip", {}),
        "shared": environment.get("shared"),
        "predicted_seconds": costs.get("predicted_seconds"),
        "took_seconds": costs.get("took_seconds"),
        # Stored words may be a stranger's.
        "failed": printable(costs["failed"]) if costs.get("failed") else None,
        # What was measured on a part of the images is no result of the run.
        "summary": None if (summary or {}).get("limit") else summary,
        "cause": None,
    }


def _time(record: dict[str, Any]) -> str:
    from kivfm_core.planner.plan import compared

    took = record["took_seconds"]
    return "" if took is None else compared(record["predicted_seconds"], took)
