"""Entries and specs as JSON and as rows of a table. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kivfm_core.registry.entry import Entry
from kivfm_core.registry.registry import get_registry, get_tasks
from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_core.text import count, size
from kivfm_core.weights.locate import locate

COLUMNS = (
    "name",
    "role",
    "tasks",
    "levels (C/stride)",
    "parameters",
    "weights",
    "input",
    "license",
    "distribution",
    "status",
)
# What a terminal of 80 columns has room for.
NARROW_COLUMNS = ("name", "tasks", "parameters", "weights", "license", "status")
LICENSE = 14  # characters; `kivfm teachers show` has the whole name


def describe_entry(entry: Entry, spec: TeacherSpec | None = None) -> dict[str, Any]:
    """An entry as JSON-able data.

    Args:
        entry: From the registry.
        spec: Of one teacher under a provider's prefix.
    """
    spec = spec or entry.spec
    record: dict[str, Any] = {
        "name": entry.name if spec is None or entry.spec else spec.name,
        "status": entry.status,
        "distribution": entry.distribution,
        "version": entry.version,
        "cause": entry.cause,
        "hint": entry.hint,
        "milliseconds": round(entry.milliseconds, 2),
        "heavy": entry.heavy or None,
    }
    if spec is not None:
        data = spec.model_dump(mode="json", exclude={"name", "config", "encoder"})
        file = locate(spec.weights.source)
        known = spec.weights.bytes or (file.stat().st_size if file and file.is_file() else None)
        here = get_registry().weights_here(spec)
        data["weights"] |= {"here": here, "bytes": known}
        data["input_contract"] = data["input"]
        data["input"] = describe_input(spec.input)
        data["tasks"] = [task.task for task in spec.tasks]
        data["decoders"] = [task.model_dump(mode="json") for task in spec.tasks]
        record |= data
    elif entry.provider is not None:
        record |= entry.provider.model_dump(mode="json")
    return record


def row(entry: Entry) -> tuple[str, ...]:
    """A teacher's line in the list, under `COLUMNS`."""
    origin = f"{entry.distribution} {entry.version}"
    if entry.spec is None:
        return (entry.name, *[""] * (len(COLUMNS) - 3), origin, entry.status)
    spec, record = entry.spec, describe_entry(entry)
    weights = record["weights"]
    return (
        entry.name + (f" ({', '.join(spec.aliases)})" if spec.aliases else ""),
        spec.role,
        ", ".join(_short(task.task) for task in spec.tasks) or "-",
        describe_levels(spec.levels),
        count(spec.parameters),
        size(weights["bytes"]) + _where(spec.weights.source, weights["here"]),
        record["input"],
        spec.weights.license,
        origin,
        entry.status,
    )


def _where(source: str, here: bool) -> str:
    """Whether weights are on this machine; those of a package that are not cannot be fetched."""
    return ", here" if here else ", missing" if source.startswith("package:") else ""


def narrow_row(entry: Entry) -> tuple[str, ...]:
    """A teacher's line in the list on a terminal, under `NARROW_COLUMNS`.

    A star marks the teacher that its family's name stands for.
    """
    if entry.spec is None:
        return (entry.name, *[""] * (len(NARROW_COLUMNS) - 2), entry.status)
    spec, file = entry.spec, locate(entry.spec.weights.source)
    license = spec.weights.license
    return (
        f"{entry.name} *" if spec.family in spec.aliases else entry.name,
        ", ".join(_short(task.task) for task in spec.tasks) or "-",
        count(spec.parameters),
        "here" if file else size(spec.weights.bytes) if spec.weights.bytes else "unknown",
        license if len(license) <= LICENSE else f"{license[: LICENSE - 3]}...",
        entry.status,
    )


def _short(task: str) -> str:
    """A task's name in the list; the task of a plugin that is not here has no other."""
    known = get_tasks().get(task)
    return known.short if known else task


def describe_levels(levels: Sequence[Level]) -> str:
    """Channels, and the stride of dense levels, such as `512, 768/16`; of many, the outer two."""
    shapes = [f"{lv.channels}/{lv.stride}" if lv.stride else str(lv.channels) for lv in levels]
    return ", ".join(shapes if len(shapes) <= 3 else (shapes[0], "...", shapes[-1]))


def describe_input(contract: InputContract) -> str:
    """An input contract in a few words, such as `stretch 224`."""
    limit = f"-{contract.max_size}" if contract.max_size else ""
    return f"{contract.policy} {contract.size}{limit}"


def level_row(spec: TeacherSpec, level: Level) -> tuple[str, str, str, str]:
    """A level's line, with its shape on the canvas that distillation uses by default."""
    side = spec.input.train_side()
    grid = () if level.kind == "global" else level.grid((side, side))
    shape = f"[{', '.join(map(str, ('B', level.channels, *grid)))}]"
    return level.name, level.kind, shape, str(level.stride or "")
