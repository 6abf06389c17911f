"""Names that several distributions give. Torch-free."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from kivfm_core.registry.entry import Entry, broken


def mark_conflicts(entries: list[Entry]) -> list[Entry]:
    """Marks names that are given more than once.

    If two distributions give one name, neither is preferred: both become conflicts, which can be
    selected as `distribution::name`. A name that one distribution gives twice is broken.
    """
    given_by: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.spec or entry.provider:
            given_by[entry.name].append(entry.distribution)
    marked: list[Entry] = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        distributions = sorted(set(given_by[entry.name]))
        if not (entry.spec or entry.provider):
            marked.append(entry)
        elif (entry.distribution, entry.name) in seen:
            error = ValueError(f"{entry.distribution} gives {entry.name} twice")
            marked.append(replace(broken(entry, error), spec=None, provider=None))
        elif len(distributions) > 1:
            pins = " or ".join(f"{distribution}::{entry.name}" for distribution in distributions)
            cause = f"{' and '.join(distributions)} both give {entry.name}"
            hint = f"say which: {pins}"
            name = f"{entry.distribution}::{entry.name}"
            if entry.status == "ready":
                entry = replace(entry, status="conflict", cause=cause, hint=hint)
            marked.append(replace(entry, name=name))
        else:
            marked.append(entry)
        seen.add((entry.distribution, marked[-1].bare))
    return marked
