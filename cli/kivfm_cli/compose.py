"""`kivfm compose`: the plan of a student, before any weight is touched."""

from __future__ import annotations

import json as js
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from kivfm_cli import options as o
from kivfm_cli.group import make_app
from kivfm_cli.output import Json, count, percent, print_fields, print_json, print_table, size
from kivfm_core.errors import KivfmError

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
    from kivfm_core.composition.compose import compose as plan
    from kivfm_core.composition.summary import outline
    from kivfm_core.config import dump_config
    from kivfm_core.config.assign_weights import assign_weights
    from kivfm_core.planner.placement import place, planned_machine
    from kivfm_core.planner.plan import make_plan
    from kivfm_core.planner.rates import read_rates

    planned = plan(made)
    views = made.optim.micro_batch or made.optim.batch_size
    composition = outline(planned, assign_weights(made.weights, planned.teachers), views)
    rates = read_rates()
    placements = place(made, planned, planned_machine(made, rates.machine))
    foreseen = make_plan(made, planned, _pictures(made), rates, placements=placements)
    composition["plan"] = foreseen.as_dict()
    if made.student.start is not None:
        facts = (Path(made.student.start) / "environment.json").read_text(encoding="utf-8")
        composition["round_trip"] = js.loads(facts).get("round_trip", {})
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(dump_config(made), encoding="utf-8")
    if json:
        print_json(composition)
        return
    render(composition)
    if made.cache.path is not None and Path(made.cache.path).is_dir():
        print(f"note: what {made.cache.path} has already is counted by a run only")
    if out is not None:
        print(f"\nwritten: {out}; go on with: kivfm distill --config {out}")


def render(plan: dict[str, Any]) -> None:
    """Prints a composition."""
    from kivfm_core.composition.summary import round_trips

    parameters, cost, terms = plan["parameters"], plan["cost"], plan["license"]
    trips = plan.get("round_trip")
    activations = "an unknown amount"
    if cost["activations_bytes"] is not None:
        activations = f"about {size(cost['activations_bytes'])}"
    print_fields(
        {
            "teachers": ", ".join(plan["teachers"]),
            **({"kept": ", ".join(plan["kept"])} if plan["kept"] else {}),
            **({"of these": f"the shared latent keeps {round_trips(trips)}"} if trips else {}),
            "base": plan["base"] or f"none: {plan['trunk']['name']} is trained in full",
            "image size": ", ".join(map(str, plan["image_size"])),
            "features": ", ".join(f"{n} {_shape(shape)}" for n, shape in plan["features"].items()),
            "parameters": f"{count(parameters['trainable'])} trainable of "
            f"{count(parameters['total'])} ({percent(parameters['share'])})",
            "cost": f"at least {cost['training_gmacs_per_image']:g} GMACs an image in training "
            f"(teachers {cost['teachers_gmacs_per_image']:g}), "
            f"{cost['student_gmacs_per_image']:g} in use",
            "memory": f"{size(cost['weights_bytes'])} of weights, "
            f"{size(cost['optimizer_bytes'])} of gradients and optimizer, "
            f"{activations} of activations (views at once: {cost['activations_views']})",
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
    _print_costs(plan["plan"])
    print()
    for item in plan["downloads"]:
        print(f"to download: {item['teacher']} from {item['source']} ({size(item['bytes'])})")
    for condition in terms["conditions"]:
        print(f"license: {condition}")
    for text in plan["warnings"]:
        print(f"warning: {text}")


def _pictures(config: Any) -> int | None:
    """How many pictures a run will see; None if that is not known, or does not matter."""
    from kivfm_core.data.unlabeled import find_images
    from kivfm_core.scenes import TRAIN

    if not config.data.views:
        return None
    try:
        return len(find_images(Path(config.data.path))) if config.data.path else TRAIN
    except KivfmError:
        return None


def _print_costs(plan: dict[str, Any]) -> None:
    from kivfm_core.planner.plan import duration

    def amount(value: Any, show: Callable[[Any], str]) -> str:
        return "-" if value is None else show(value) if value else ""

    rows = [
        (
            cost["name"],
            cost["answers"],
            amount(cost["batch"], str),
            amount(cost["device"], str),
            amount(cost["memory"], size),
            amount(cost["view_bytes"], size),
            amount(cost["bytes"], size),
            amount(cost["views"], str),
            amount(cost["seconds"], duration),
        )
        for cost in plan["costs"]
    ]
    columns = ("work", "answers", "batch", "device", "memory", "a view", "stored", "views", "time")
    print_table(columns, rows)
    if plan["space"] is not None:
        print(f"stored: {size(plan['bytes'])} of {size(plan['space'])}")
    if plan["why"]:
        print(f"time: not predicted; {plan['why']}")
    else:
        print(f"time: {duration(plan['predicted_seconds'])} on {plan['device']}")


def _adapter_row(adapter: dict[str, Any]) -> tuple[str, str, str, str, str]:
    shape = ""
    if "widths" in adapter:
        shape = f"widths {', '.join(map(str, adapter['widths']))}"
    elif "rank" in adapter:
        shape = f"rank {adapter['rank']}"
    places = adapter.get("taps") or adapter.get("blocks") or []
    where = f"{len(places)} {'taps' if 'taps' in adapter else 'blocks'}" if places else ""
    return ("adapter", where, shape, adapter["kind"], count(adapter["parameters"]))


def _shape(shape: list[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"
