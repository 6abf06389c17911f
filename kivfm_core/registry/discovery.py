"""Discovery: from installed distributions to entries, whatever plugins do wrong. Torch-free.

`PluginManager.load_setuptools_entrypoints` is not used: an error in one plugin would stop it, and
it silently drops the second of two entry points with one name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from time import perf_counter
from typing import cast

import pluggy
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

from kivfm_core import hooks
from kivfm_core.errors import PluginError
from kivfm_core.registry.conflicts import mark_conflicts, mark_unknown_tasks
from kivfm_core.registry.entry import Entry, broken, incompatible, read_entry, read_task
from kivfm_core.registry.requirements import is_met

GROUP = "kivfm"
BUILT_IN = "kivfm"
HEAVY = ("torch", "timm", "torchvision", "open_clip", "transformers")


def discover() -> list[Entry]:
    """Every teacher, provider and task of every plugin, and every plugin that failed.

    `KIVFM_PLUGINS=a,b` (entry points or distributions) and `KIVFM_NO_PLUGINS=1` apply before
    anything is imported; built-ins stay. `KIVFM_STRICT_PLUGINS=1` raises what is wrong.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: (_distribution(point), point.name))
    wanted = _wanted()
    if wanted is not None:
        points = [p for p in points if _distribution(p) == BUILT_IN or _ids(p) & wanted]
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    # Plugins may print while they are imported; that must not end up inside our JSON on stdout.
    with redirect_stdout(sys.stderr):
        entries = [entry for point in points for entry in _load(point, manager)]
    entries += _pending(points, manager)
    for name in sorted((wanted or set()) - {i for point in points for i in _ids(point)}):
        cause = "named in KIVFM_PLUGINS, but nothing of this name is installed"
        entries.append(Entry(name, name, "", "broken", cause=cause, hint=f"pip install {name}"))
    entries = mark_unknown_tasks(mark_conflicts(entries))
    if os.environ.get("KIVFM_STRICT_PLUGINS") == "1":
        for entry in entries:
            if entry.status in ("broken", "incompatible"):
                raise PluginError(f"{entry.name} ({entry.distribution}): {entry.cause}", entry.hint)
    return entries


def _distribution(point: EntryPoint) -> str:
    # A half-removed distribution has no metadata, and so no name.
    name = point.dist.name if point.dist else None
    return canonicalize_name(name or "unknown")


def _version(point: EntryPoint) -> str:
    return (point.dist.version if point.dist else None) or ""


def _ids(point: EntryPoint) -> set[str]:
    """The names by which `KIVFM_PLUGINS` may select an entry point."""
    return {canonicalize_name(point.name), _distribution(point)}


def _wanted() -> set[str] | None:
    if os.environ.get("KIVFM_NO_PLUGINS") == "1":
        return set()
    names = os.environ.get("KIVFM_PLUGINS")
    if names is None:
        return None
    return {canonicalize_name(name.strip()) for name in names.split(",") if name.strip()}


def _load(point: EntryPoint, manager: pluggy.PluginManager) -> Iterable[Entry]:
    """Loads one plugin and calls its hooks; an error becomes an entry and is not raised."""
    start, before = perf_counter(), {name for name in HEAVY if name in sys.modules}
    plugin = Entry(point.name, _distribution(point), _version(point), point=point.name)
    try:
        module = point.load()
        manager.register(module, f"{plugin.distribution}::{point.name}")
        hook = manager.hook
        # A hook may be a generator that raises at its third teacher: then no teacher of it counts.
        teachers = _call(hook.kivfm_register_teachers, module)
        tasks = _call(hook.kivfm_register_tasks, module)
        entries = [read_entry(item, plugin) for item in teachers]
        entries += [read_task(item, plugin) for item in tasks]
        if not manager.get_hookcallers(module):
            raise TypeError(
                "no hook: decorate kivfm_register_teachers or kivfm_register_tasks with hookimpl"
            )
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # includes SystemExit, and errors that plugins derive from BaseException
        entries = [_failed(plugin, point, error)]
    heavy = next((name for name in HEAVY if name in sys.modules and name not in before), "")
    spent = (perf_counter() - start) * 1000
    return [replace(entry, milliseconds=spent, heavy=heavy) for entry in entries]


def _call(hook: pluggy.HookCaller, module: object) -> list[object]:
    """All that one module's implementations of a hook give."""
    mine = [impl for impl in hook.get_hookimpls() if impl.plugin is module]
    return [item for impl in mine for item in _items(impl.function())]


def _items(given: object) -> list[object]:
    # A single spec is iterable too, over its fields, and must not pass for several specs.
    if isinstance(given, str | BaseModel) or not isinstance(given, Iterable):
        raise TypeError(f"the hook gave a {type(given).__name__}, not several records")
    return list(cast(Iterable[object], given))


def _failed(plugin: Entry, point: EntryPoint, error: BaseException) -> Entry:
    """The entry of a plugin that raised an error.

    A plugin that requires another version of kivfm is incompatible, and not broken.
    """
    for text in (point.dist.requires or []) if point.dist else []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == BUILT_IN and not is_met(requirement):
            return incompatible(plugin, f"needs {text}")
    missing = isinstance(error, ModuleNotFoundError) and error.name
    if missing and point.module.split(".")[0] == missing.split(".")[0]:
        # The plugin's own package is missing: the distribution is damaged.
        hint = f"pip install --force-reinstall {plugin.distribution}"
        return replace(broken(plugin, error), hint=hint)
    return broken(plugin, error)


def _pending(points: list[EntryPoint], manager: pluggy.PluginManager) -> list[Entry]:
    """The entries of plugins that implement a hook which does not exist, probably misspelled."""
    found: list[Entry] = []
    versions = {f"{_distribution(p)}::{p.name}": _version(p) for p in points}
    while True:
        try:
            manager.check_pending()
            return found
        except pluggy.PluginValidationError as error:
            key = manager.get_name(error.plugin) or "unknown::unknown"
            distribution, _, name = key.partition("::")
            plugin = Entry(name, distribution, versions.get(key, ""), point=name)
            found.append(broken(plugin, error))
            manager.unregister(error.plugin)
