"""Where installed plugins declare teachers differently than a run stored them. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from kivfm_core.errors import KivfmError
from kivfm_core.registry.registry import Registry
from kivfm_core.registry.stored import installed_spec
from kivfm_core.spec import TeacherSpec

# The fields of a spec that a teacher's outputs depend on, beside its weights.
SPEC = ("encoder", "config", "levels", "input", "tasks", "attachments")


def redeclared(specs: Iterable[TeacherSpec], registry: Registry) -> list[str]:
    """What the installed plugins declare differently than stored specs, a line each."""
    lines: list[str] = []
    for spec in specs:
        now = _now(spec, registry)
        if now is not None:
            old, new = (flatten(s.model_dump(mode="json", include=set(SPEC))) for s in (spec, now))
            lines += [f"{spec.name} declares {line}" for line in changed(old, new)]
    return lines


def _now(spec: TeacherSpec, registry: Registry) -> TeacherSpec | None:
    entry = registry.origin(spec)
    # A missing plugin is reported when the teacher is loaded. A provider whose specs are not cached
    # would have to import its library.
    if entry is None or (entry.provider is not None and not entry.provider.cached):
        return None
    try:
        return installed_spec(spec, registry)
    except KivfmError:
        return None  # as of a missing plugin


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The flat keys whose values differ, a line each; of long lists, the first that differs."""
    return [
        _line(key, old.get(key, "not given"), new.get(key, "not given"))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _line(key: str, old: Any, new: Any) -> str:
    if isinstance(old, list) and isinstance(new, list):
        before, after = cast(list[Any], old), cast(list[Any], new)
        if len(before) == len(after) > 3:
            pairs = enumerate(zip(before, after, strict=True))
            place, (old, new) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
            key = f"{key}[{place}]"
        elif len(before) != len(after) and max(len(before), len(after)) > 3:
            old, new = f"{len(before)} entries", len(after)
    return f"{key}: {old}, now {new}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys and their values; tables in a list are keyed by name, and the list by order."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if _is_table_list(value):
            items = cast(list[dict[str, Any]], value)
            names = [str(item.get("name", item.get("task", i))) for i, item in enumerate(items)]
            flat[prefix + key] = ", ".join(names)
            value = dict(zip(names, items, strict=True))
        if isinstance(value, Mapping):
            flat |= flatten(cast(Mapping[str, Any], value), f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _is_table_list(value: object) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(item, dict) for item in cast(list[object], value))
