"""The error for an unknown name, with the nearest names or the package to install. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches

from kivfm_core.errors import KivfmError, PluginError, UsageError, did_you_mean
from kivfm_core.registry.entry import Entry
from kivfm_core.tasks.table import TASKS

# Published packages with teachers, other than kivfm itself: by variant, and by family.
PUBLISHED_VARIANTS = {"nano": "kivfm-nano"}
PUBLISHED_FAMILIES = {
    "deeplab": "kivfm-deeplab",
    **dict.fromkeys(
        ("depth", "detr", "mask2former", "rtdetr", "sam2", "transformers"), "kivfm-transformers"
    ),
    "yolov8": "kivfm-yolov8",
    "yolox": "kivfm-yolox",
}

# The tasks that they describe, and kivfm does not: none now.
PUBLISHED_TASKS: dict[str, str] = {}


def explain_unknown(name: str, entries: Sequence[Entry]) -> KivfmError:
    """The error for a name that no entry has.

    Args:
        name: The name, without a `distribution::` before it.
        entries: The entries that were searched.
    """
    absent = explain_absent(name, entries)
    if absent:
        return absent
    family = name.partition("/")[0]
    failed = [e for e in entries if e.empty and e.bare == family]
    if failed:
        return _failed(name, failed[0])
    variants = sorted(e.name for e in entries if e.spec and e.spec.family == name)
    if variants:
        return UsageError(f"{name} has no default variant", f"name one: {', '.join(variants)}")
    known = {alias for e in entries if e.spec for alias in (*e.spec.aliases, e.name)}
    known |= {one for e in entries if e.provider for one in (e.provider.prefix, *e.provider.names)}
    by_lower = {one.lower(): one for one in sorted(known)}
    near = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=5, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else "kivfm teachers list"
    return UsageError(f"no teacher is named {name!r}", hint)


def explain_absent(name: str, entries: Sequence[Entry]) -> PluginError | None:
    """The error for a teacher of a package that is known, and missing or broken here."""
    family, _, variant = name.partition("/")
    home = PUBLISHED_VARIANTS.get(variant) or PUBLISHED_FAMILIES.get(family)
    if home is None:
        return None
    installed = [entry for entry in entries if entry.distribution == home]
    if not installed:
        return _absent(name, home)
    failed = [entry for entry in installed if entry.empty]
    return _failed(name, failed[0]) if failed else None


def _absent(what: str, home: str) -> PluginError:
    switches = [key for key in ("KIVFM_NO_PLUGINS", "KIVFM_PLUGINS") if key in os.environ]
    hint = f"unset {' '.join(switches)}" if switches else f"pip install {home}"
    where = "switched off, or not installed" if switches else "not installed"
    return PluginError(f"{what} comes with {home}, which is {where}", hint)


def explain_unknown_task(name: str, entries: Sequence[Entry]) -> KivfmError:
    """The error for the name of a task that cannot be used.

    Args:
        name: As a spec, or a user, gives it.
        entries: All that plugins gave.

    Returns:
        A `PluginError` if the task is a plugin's, a `UsageError` if it is nobody's.
    """
    given = [entry for entry in entries if entry.task and entry.task.name == name]
    if given:
        cause = next((entry.cause for entry in given if entry.cause), "")
        return PluginError(f"the task {name} cannot be used: {cause}", given[0].hint)
    home = PUBLISHED_TASKS.get(name)
    if home is not None:
        installed = [entry for entry in entries if entry.distribution == home]
        failed = [entry for entry in installed if entry.empty]
        if failed:
            return _failed(f"the task {name}", failed[0])
        if installed:
            hint = f"pip install --upgrade {home}"
            return PluginError(f"the task {name} comes with a newer {home}", hint)
        return _absent(f"the task {name}", home)
    known = [*TASKS, *(entry.task.name for entry in entries if entry.task)]
    hint = did_you_mean(name, known, f"tasks: {', '.join(known)}")
    return UsageError(f"unknown task {name!r}", hint)


def _failed(name: str, entry: Entry) -> PluginError:
    plugin = f"{entry.distribution} {entry.version}"
    return PluginError(f"{name}: its plugin {plugin} is {entry.status}: {entry.cause}", entry.hint)
