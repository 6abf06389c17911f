"""Problems among plugins: names given twice, tasks that no plugin describes. Torch-free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from kivfm_core.errors import PluginError
from kivfm_core.registry.entry import Entry, broken
from kivfm_core.registry.suggestions import explain_unknown_task
from kivfm_core.task import TaskRecord
from kivfm_core.tasks.table import TASKS


def mark_conflicts(entries: list[Entry]) -> list[Entry]:
    """Marks names that are given more than once.

    If two distributions give one name, neither is preferred: both become conflicts, which can be
    selected as `distribution::name`. A name that one distribution gives twice is broken.
    """
    # A task and a teacher may have one name, since tasks and teachers are looked up separately.
    givers: defaultdict[tuple[bool, str], set[str]] = defaultdict(set)
    for entry in entries:
        if not entry.empty:
            givers[entry.task is not None, entry.name].add(entry.distribution)
    marked: list[Entry] = []
    seen: set[tuple[bool, str, str]] = set()
    for entry in entries:
        is_task = entry.task is not None
        given_by = sorted(givers[is_task, entry.name])
        key = (is_task, entry.distribution, entry.name)
        if entry.empty:
            marked.append(entry)
        elif key in seen:
            error = ValueError(f"{entry.distribution} gives {entry.name} twice")
            marked.append(replace(broken(entry, error), spec=None, provider=None, task=None))
        elif len(given_by) > 1:
            marked.append(_in_conflict(entry, given_by))
        else:
            marked.append(entry)
        if not entry.empty:
            seen.add(key)
    return marked


def _in_conflict(entry: Entry, given_by: list[str]) -> Entry:
    pins = " or ".join(f"{distribution}::{entry.name}" for distribution in given_by)
    # No spec can say which of two tasks it means: one of the packages has to go.
    hint = f"pip uninstall {' or '.join(given_by)}" if entry.task else f"say which: {pins}"
    if entry.status == "ready":
        cause = f"{' and '.join(given_by)} both give {entry.name}"
        entry = replace(entry, status="conflict", cause=cause, hint=hint)
    return replace(entry, name=f"{entry.distribution}::{entry.name}")


def ready_tasks(entries: Iterable[Entry]) -> dict[str, TaskRecord]:
    """Kivfm's own tasks and those that plugins registered, by name."""
    ready = (entry.task for entry in entries if entry.task and entry.status == "ready")
    return TASKS | {task.name: task for task in ready}


def mark_unknown_tasks(entries: list[Entry]) -> list[Entry]:
    """A teacher that declares a task which nothing here describes cannot be used.

    It needs a plugin if one is known to describe the task, and is broken otherwise. All plugins
    have to be loaded before: a teacher's task may come from another package.
    """
    tasks = ready_tasks(entries)
    marked: list[Entry] = []
    for entry in entries:
        declared = [task.task for task in entry.spec.tasks] if entry.spec else []
        unknown = next((task for task in declared if task not in tasks), None)
        if unknown is not None and entry.status == "ready":
            error = explain_unknown_task(unknown, entries)
            if isinstance(error, PluginError):
                found = replace(entry, status="needs", cause=error.message, hint=error.hint)
            else:
                cause = f"it solves {unknown!r}, which is no task"
                found = replace(entry, status="broken", cause=cause, hint=error.hint, spec=None)
            entry = found
        marked.append(entry)
    return marked
