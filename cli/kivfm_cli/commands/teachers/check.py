"""`kivfm teachers check`: the conformance kit, on one teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kivfm_cli.output import Json, print_json, print_table


def check(
    name: Annotated[str, typer.Argument(help="Teacher's name, as `teachers list` shows it.")],
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights file. Default: local weights, or random ones if there are none.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check that a teacher matches its declaration, and list what could not be checked.

    The exit code is 1 if a check fails. Nothing is downloaded.
    """
    from kivfm_core.errors import UsageError
    from kivfm_core.registry.registry import get_registry

    spec = get_registry().resolve(name)
    if weights is not None and not weights.is_file():
        raise UsageError(f"there is no file {weights}", f"kivfm teachers check {name}")
    from kivfm_core.testing.checks import run_checks
    from kivfm_core.testing.subject import Subject

    subject = Subject(spec, weights)
    results = list(run_checks(subject))
    findings = [result for result in results if result.status == "finding"]
    used = str(subject.weights) if subject.weights else None
    if json:
        checks = [vars(result) for result in results]
        print_json({"teacher": spec.name, "weights": used, "ok": not findings, "checks": checks})
    else:
        print(f"{spec.name}, on {used or 'random weights: its own are not on this machine'}")
        print_table(("check", "status", "what it means"),
                    [(r.name, r.status, r.meaning) for r in results])  # fmt: skip
        for result in results:
            if result.status != "ok":
                print(f"\n{result.name}, {result.status}: {result.message}")
                if result.fix:
                    print(f"  {result.fix}")
    raise typer.Exit(1 if findings else 0)
