"""`kivfm runs`: lists, shows and edits run folders, without torch where it only reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli.lazy import make_app
from kivfm_cli.output import Json, print_fields, print_json, print_table
from kivfm_core.errors import UsageError
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
    runs = [describe(run) for run in list_runs(folder)]
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
            ", ".join(run["teachers"]),
            f"{run['step']}/{run['steps']}",
            "ready" if run["student"] else "unfinished",
            percent((run["summary"] or {}).get("retention_mean")),
            percent((run["summary"] or {}).get("gain_mean")),
        )
        for run in runs
    ]
    print_table(columns, rows)


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
            "time": _time(record),
            **{f"weights {name}": text for name, text in record["weights"].items()},
        }
    )
    if evaluation := files.evaluation:
        from kivfm_cli.commands.evaluate import render

        print()
        render(evaluation)


@app.command()
def remove(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished run.")],
    teacher: Annotated[str, typer.Argument(help="Name of the teacher to remove.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the new run.")],
) -> None:
    """Remove a teacher from a student, as a new run; the other teachers' outputs do not change."""
    from kivfm_core.runs.remove_teacher import remove_teacher

    print(f"run: {remove_teacher(run, teacher, out)}")


def describe(run: RunFiles) -> dict[str, Any]:
    """What a run folder records of its run, as JSON."""
    plan, environment, costs = run.read_composition(), run.environment, run.costs
    summary = run.evaluation.get("summary")
    weights = environment.get("weights", {})
    return {
        "run": str(run.path),
        "teachers": [spec["name"] for spec in plan["teachers"]],
        "base": plan["base"],
        "step": run.steps,
        "steps": run.read_config().get("optim", {}).get("steps"),
        "student": run.has_student,
        "weights": {name: f"{w['source']} sha256 {w['sha256']}" for name, w in weights.items()},
        "round_trip": environment.get("round_trip", {}),
        "predicted_seconds": costs.get("predicted_seconds"),
        "took_seconds": costs.get("took_seconds"),
        # What was measured on a part of the images is no result of the run.
        "summary": None if (summary or {}).get("limit") else summary,
    }


def _time(record: dict[str, Any]) -> str:
    from kivfm_core.planner.plan import compared

    took = record["took_seconds"]
    return "" if took is None else compared(record["predicted_seconds"], took)
