"""What `kivfm compose` prints: as JSON-able data, as tables, and as text. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.cost import estimate_cost
from kivfm_core.licenses.terms import Terms, inherited
from kivfm_core.registry.registry import get_registry
from kivfm_core.text import count, duration, percent, size, table_lines

# A larger share of a level's variance is shown as all of it.
WHOLE = 0.9995
# What is shown for the work beside the networks', which plans store under these names.
WORK: dict[str, str] = {"pictures": "decoding", "fitting": "fitting", "learning": "training"}


@dataclass(frozen=True)
class Table:
    """A table of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Summary:
    """A report on a student that is not built yet: parts, shapes, costs, downloads, license.

    Attributes:
        data: All of it as JSON-able data, as `kivfm compose --json` prints it.
        note: A remark that belongs to this machine and not to the data; may be empty.
    """

    data: dict[str, Any]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        return self.data

    def as_text(self) -> str:
        """The report as plain text, as `kivfm compose` prints it."""
        fields = self.fields()
        width = max(map(len, fields))
        lines = [f"{name.ljust(width)}  {value}" for name, value in fields.items()]
        for table in (self.parts(), self.work()):
            lines += ["", *table_lines(table.columns, table.rows)]
        return "\n".join([*lines, *self.totals(), "", *self.remarks()])

    def __str__(self) -> str:
        return self.as_text()

    def fields(self) -> dict[str, str]:
        """The report's head: names and values."""
        data = self.data
        parameters, cost, terms = data["parameters"], data["cost"], data["license"]
        trips, activations = data.get("round_trip"), "an unknown amount"
        if cost["activations_bytes"] is not None:
            activations = f"about {size(cost['activations_bytes'])}"
        features = (f"{name} {_shape(shape)}" for name, shape in data["features"].items())
        return {
            "teachers": ", ".join(data["teachers"]),
            **({"learned before": ", ".join(data["kept"])} if data["kept"] else {}),
            **({"round trip": f"the shared latent keeps {round_trips(trips)}"} if trips else {}),
            "base": data["base"] or _trained_in_full(data["trunk"]),
            "image size": ", ".join(map(str, data["image_size"])),
            "features": ", ".join(features),
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

    def parts(self) -> Table:
        """The student's parts: trunk, adapters and aligners, with their shapes and sizes."""
        data, trunk = self.data, self.data["trunk"]
        rows = [(trunk["name"], "trunk", "", "", count(trunk["parameters"]))]
        if data["adapter"]:
            rows.append(_adapter_row(data["adapter"]))
        if head := data.get("shared_head"):
            rows.append(("shared head", ", ".join(head["features"]), _shape(head["shape"]),
                         "joint", count(head["parameters"])))  # fmt: skip
        rows += [
            ("extension", ", ".join(e["maps"]), "", "side", count(e["parameters"]))
            for e in data["extensions"]
        ]
        rows += [
            (a["teacher"], a["level"], _shape(a["shape"]), a["kind"], count(a["parameters"]))
            for a in data["aligners"]
        ]
        return Table(("part", "level", "shape", "kind", "parameters"), tuple(rows))

    def work(self) -> Table:
        """The run's work: a row for each frozen network, then decoding, fitting and learning."""

        def amount(value: Any, show: Callable[[Any], str]) -> str:
            return "-" if value is None else show(value) if value else ""

        rows = (
            (
                WORK.get(cost["name"]) or cost["name"],
                cost["answers"],
                amount(cost["batch"], str),
                amount(cost["device"], str),
                amount(cost["memory"], size),
                amount(cost["view_bytes"], size),
                amount(cost["bytes"], size),
                amount(cost["views"], str),
                amount(cost["seconds"], duration),
            )
            for cost in self.data["plan"]["costs"]
        )
        return Table(
            ("work", "outputs", "batch", "device", "memory", "a view", "stored", "views", "time"),
            tuple(rows),
        )

    def totals(self) -> list[str]:
        """The work's sums, a line each: space in the cache, and time."""
        plan = self.data["plan"]
        lines: list[str] = []
        if plan["space"] is not None:
            lines.append(f"stored: {size(plan['bytes'])} of {size(plan['space'])}")
        if plan["why"]:
            return [*lines, f"time: not predicted; {plan['why']}"]
        return [*lines, f"time: {duration(plan['predicted_seconds'])} on {plan['device']}"]

    def remarks(self) -> list[str]:
        """Downloads, license conditions and warnings, a line each."""
        data = self.data
        return [
            *(
                f"to download: {item['teacher']} from {item['source']} ({size(item['bytes'])})"
                for item in data["downloads"]
            ),
            *(f"license: {condition}" for condition in data["license"]["conditions"]),
            *(f"warning: {text}" for text in data["warnings"]),
            *([f"note: {self.note}"] if self.note else []),
        ]


def round_trips(kept: Mapping[str, float]) -> str:
    """What the shared latent keeps of the teachers' levels, for a reader.

    Args:
        kept: Share of each level's standardized variance, by `teacher:level`.
    """
    narrowed = [f"{share:.1%} of {name}" for name, share in kept.items() if share < WHOLE]
    others = ["all of every level"] if not narrowed else ["all of the others"]
    return ", ".join(narrowed + others * (len(narrowed) < len(kept)))


def percents(shares: Mapping[str, float]) -> str:
    """Shares of several things, for a reader, the largest first.

    Example:
        >>> percents({"a": 0.25, "b": 0.5})
        '50% of b, 25% of a'
    """
    order = sorted(shares, key=lambda name: -shares[name])
    return ", ".join(f"{shares[name]:.0%} of {name}" for name in order)


def summarize(
    composition: Composition, files: Collection[str] = (), views: int = 1
) -> dict[str, Any]:
    """A composition as JSON-able data: parts, parameters, costs, downloads, license, warnings.

    Args:
        composition: The student's plan.
        files: Names of those whose weights files are given, so that none is downloaded.
        views: That the student learns from at once.
    """
    terms = inherited(composition.origins)
    return {
        "schema": 1,
        "teachers": [spec.name for spec in composition.teachers],
        "base": composition.base,
        "trunk": _trunk(composition),
        "image_size": list(composition.image_size),
        "trunk_size": composition.trunk_size,
        "features": {
            "x": [composition.x_channels],
            **{m.name: [m.channels, f"/{m.stride}"] for m in composition.maps},
        },
        "adapter": None
        if composition.adapter is None
        else {
            "kind": composition.adapter.kind,
            **composition.adapter.outline,
            "parameters": composition.adapter.parameters,
        },
        "extensions": [
            {"maps": [m.name for m in adapter.maps], "parameters": adapter.parameters}
            for adapter in composition.extensions
        ],
        **_shared_head(composition),
        "kept": list(composition.frozen_teachers),
        "aligners": _aligners(composition),
        "parameters": {
            "trainable": composition.trainable,
            "total": composition.total,
            "share": composition.trainable / composition.total,
        },
        "cost": estimate_cost(composition, views),
        "downloads": [
            {"teacher": s.name, "source": s.weights.source, "bytes": s.weights.bytes}
            for s in composition.origins
            if s.name not in files and not get_registry().weights_here(s)
        ],
        "license": terms.as_dict(),
        "warnings": _warnings(composition, terms),
    }


def _trunk(composition: Composition) -> dict[str, Any]:
    return {
        "name": composition.trunk.name,
        "parameters": composition.trunk.parameters,
        "pretrained": composition.pretrained or composition.base is not None,
    }


def _trained_in_full(trunk: Mapping[str, Any]) -> str:
    start = "pre-trained" if trunk["pretrained"] else "random"
    return f"none: {trunk['name']} is trained in full, from {start} weights"


def _shared_head(composition: Composition) -> dict[str, Any]:
    """The head for what all teachers share, if there is one."""
    if (head := composition.shared_head) is None:
        return {}
    return {
        "shared_head": {
            "features": [head.places.level.name, head.image.level.name],
            "shape": [head.shared, f"/{head.places.level.stride}"],
            "parameters": head.parameters,
        }
    }


def _aligners(composition: Composition) -> list[dict[str, Any]]:
    return [
        {
            "teacher": a.teacher,
            "level": a.level.name,
            "kind": a.kind,
            "shape": [a.level.channels] + ([f"/{a.level.stride}"] if a.level.stride else []),
            "reads": a.inputs,
            "latent": a.latent,
            "parameters": a.parameters,
        }
        for a in composition.aligners
    ]


def _warnings(composition: Composition, terms: Terms) -> list[str]:
    """What the user should know before starting."""
    notes = [
        f"{source.teacher}: the license of its {source.what} ({source.license}) "
        + (
            "forbids commercial use"
            if source.commercial_use == "no"
            else "does not say what it allows"
        )
        for source in terms.sources
        if source.commercial_use != "yes"
    ]
    if all(spec.role != "general" for spec in composition.teachers):
        notes.append("no general teacher: the student learns only what these teachers are made for")
    return notes


def _adapter_row(adapter: dict[str, Any]) -> tuple[str, str, str, str, str]:
    shape = ""
    if "widths" in adapter:
        shape = f"widths {', '.join(map(str, adapter['widths']))}"
    elif "rank" in adapter:
        shape = f"rank {adapter['rank']}"
    modules = adapter.get("taps") or adapter.get("blocks") or []
    unit = "attachments" if "taps" in adapter else "blocks"
    where = f"{len(modules)} {unit}" if modules else ""
    return ("adapter", where, shape, adapter["kind"], count(adapter["parameters"]))


def _shape(shape: Sequence[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"
