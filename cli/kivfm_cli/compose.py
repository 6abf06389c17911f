"""`kivfm compose`: the plan of a student, before any weight is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli import options as o
from kivfm_cli.group import make_app
from kivfm_cli.output import Json, count, percent, print_fields, print_json, print_table, size

app = make_app()


@app.command()
@o.configured
def compose(
    *,
    flags: dict[str, Any],
    config: Path | None,
    sets: list[str] | None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write it for `distill --config`."),
    ] = None,
    json: Json = False,
) -> None:
    """Plan a student: its parts, shapes and costs, the downloads and the license it inherits.

    Needs no weights and no network.
    """
    made = o.make_config(config, sets, flags, "compose")
    from kivfm_core.compose import assign_weights
    from kivfm_core.compose import compose as plan
    from kivfm_core.config import dump_config
    from kivfm_core.outline import outline

    planned = plan(made)
    composition = outline(planned, assign_weights(made.weights, planned.teachers))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(dump_config(made), encoding="utf-8")
    if json:
        print_json(composition)
        return
    render(composition)
    if out is not None:
        print(f"\nwritten: {out}; go on with: kivfm distill --config {out}")


def render(plan: dict[str, Any]) -> None:
    """Prints a composition."""
    parameters, cost, terms = plan["parameters"], plan["cost"], plan["license"]
    print_fields(
        {
            "teachers": ", ".join(plan["teachers"]),
            **({"kept": ", ".join(plan["kept"])} if plan["kept"] else {}),
            "base": plan["base"] or f"none: {plan['trunk']['name']} is trained in full",
            "image size": ", ".join(map(str, plan["image_size"])),
            "features": ", ".join(f"{n} {_shape(shape)}" for n, shape in plan["features"].items()),
            "parameters": f"{count(parameters['trainable'])} trainable of "
            f"{count(parameters['total'])} ({percent(parameters['share'])})",
            "cost": f"at least {cost['training_gmacs_per_image']:g} GMACs an image in training "
            f"(teachers {cost['teachers_gmacs_per_image']:g}), "
            f"{cost['student_gmacs_per_image']:g} in use",
            "memory": f"{size(cost['weights_bytes'])} of weights, "
            f"{size(cost['optimizer_bytes'])} of gradients and optimizer, and the activations",
            "license": f"{terms['strictest']}; commercial use: {terms['commercial_use']}",
        }
    )
    print()
    rows = [(plan["trunk"]["name"], "trunk", "", "", count(plan["trunk"]["parameters"]))]
    if plan["adapter"]:
        rows.append(_adapter_row(plan["adapter"]))
    rows += [
        ("extension", ", ".join(e["maps"]), "", "side", count(e["parameters"]))
        for e in plan["extensions"]
    ]
    rows += [
        (a["teacher"], a["level"], _shape(a["shape"]), a["kind"], count(a["parameters"]))
        for a in plan["aligners"]
    ]
    print_table(("part", "level", "shape", "kind", "parameters"), rows)
    print()
    for item in plan["downloads"]:
        print(f"to download: {item['teacher']} from {item['source']} ({size(item['bytes'])})")
    for condition in terms["conditions"]:
        print(f"license: {condition}")
    for text in plan["warnings"]:
        print(f"warning: {text}")


def _adapter_row(adapter: dict[str, Any]) -> tuple[str, str, str, str, str]:
    widths = ", ".join(map(str, adapter["widths"]))
    return ("adapter", f"{len(adapter['taps'])} taps", f"widths {widths}", adapter["kind"],
            count(adapter["parameters"]))  # fmt: skip


def _shape(shape: list[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"
