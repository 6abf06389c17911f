"""`kivfm teachers check`: the conformance kit, on one teacher."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kivfm_cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from kivfm_core.testing.checks import Result


def check(
    name: Annotated[str, typer.Argument(help="Teacher's name, as `teachers list` shows it.")],
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights file. Default: local weights, or random ones if there are none.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for a drawing of each task's prediction."),
    ] = None,
    json: Json = False,
) -> None:
    """Check that a teacher matches its declaration, and list what could not be checked.

    The exit code is 1 if a check fails. Nothing is downloaded.
    """
    from kivfm_core.errors import UsageError
    from kivfm_core.registry.registry import get_registry

    # Whatever a plugin's code prints is no part of the JSON.
    with redirect_stdout(sys.stderr) if json else nullcontext():
        spec = get_registry().resolve(name)
        if weights is not None and not weights.is_file():
            raise UsageError(f"there is no file {weights}", f"kivfm teachers check {name}")
        from kivfm_core.testing.checks import run_checks
        from kivfm_core.testing.drawings import draw
        from kivfm_core.testing.subject import Subject

        subject = Subject(spec, weights)
        results = list(run_checks(subject))
        drawn = draw(subject, out) if out is not None else {}
    findings = [result for result in results if result.status == "finding"]
    used = str(subject.weights) if subject.weights else None
    if json:
        checks = [vars(result) for result in results]
        drawings = {task: str(file) for task, file in drawn.items()}
        print_json({"teacher": spec.name, "weights": used, "ok": not findings, "checks": checks,
                    "drawings": drawings})  # fmt: skip
    else:
        print(f"{spec.name}, on {used or 'random weights: its own are not on this machine'}")
        _print(results)
        for task, file in drawn.items():
            print(f"\ndrawn, {task}: {file}")
    raise typer.Exit(1 if findings else 0)


def _print(results: Sequence[Result]) -> None:
    print_table(("check", "status", "what it means"),
                [(r.name, r.status, r.meaning) for r in results])  # fmt: skip
    for result in results:
        if result.status != "ok":
            print(f"\n{result.name}, {result.status}: {result.message}")
            if result.fix:
                print(f"  {result.fix}")
            for line in result.traceback.splitlines():
                print(f"  {line}")
