"""`kivfm teachers show`: all that a teacher declares."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kivfm_cli.output import Json, print_fields, print_json, print_table
from kivfm_core.text import count, size


def show(
    name: Annotated[
        str,
        typer.Argument(help="Teacher's name, as `teachers list` shows it, or the folder of a run."),
    ],
    json: Json = False,
) -> None:
    """Show everything that a teacher declares: levels, tasks, input, weights, license."""
    from kivfm_cli.commands.teachers.describe import describe_entry, level_row
    from kivfm_core.licenses.terms import inherited
    from kivfm_core.registry.registry import get_registry

    spec, entry = get_registry().find(name)
    record: dict[str, Any] = describe_entry(entry, spec)
    terms = inherited([spec])
    if json:
        print_json({"teacher": record, "license": terms.as_dict()})
        return
    weights = spec.weights
    here = "here" if record["weights"]["here"] else "not here"
    if here != "here" and weights.source.startswith("package:"):
        here = "missing in the installed package"
    print_fields(
        {
            "name": spec.name,
            "aliases": ", ".join(spec.aliases),
            "summary": spec.summary,
            "role": spec.role,
            "parameters": count(spec.parameters),
            "input": f"{record['input']}, {spec.input.interpolation}, {spec.input.channel_order}",
            "weights": f"{weights.source} ({size(record['weights']['bytes'])}, {here})"
            + (", gated: ask for access at its source" if weights.gated else ""),
            "sha256": weights.sha256 or "recorded at first use",
            "license": f"weights {weights.license}, code {spec.code_license}; "
            f"commercial use: {terms.commercial_use}",
            "requirements": ", ".join(spec.requirements),
            "distribution": f"{entry.distribution} {entry.version}",
            "status": entry.status,
            "paper": spec.paper,
        }
    )
    print()
    print_table(("level", "kind", "shape", "stride"), [level_row(spec, lv) for lv in spec.levels])
    if spec.tasks:
        print()
        rows = [(t.task, ", ".join(t.levels), describe_labels(t.labels)) for t in spec.tasks]
        print_table(("task", "reads", "labels"), rows)
    if spec.attachments:
        print()
        rows = [
            (a.module, str(a.channels), a.layout, str(a.stride), str(a.prefix_tokens))
            for a in spec.attachments
        ]
        print_table(("attachment", "channels", "layout", "stride", "prefix tokens"), rows)


def describe_labels(labels: tuple[str, ...] | str) -> str:
    """A label space in a few words."""
    if isinstance(labels, str):
        return labels
    head = ", ".join(labels[:5])
    return f"{len(labels)}: {head}{', ...' if len(labels) > 5 else ''}"
