"""One teacher, provider or task in the registry, whether it can be used or not. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from packaging.requirements import InvalidRequirement
from pydantic import ValidationError

from kivfm_core.errors import PluginError, one_line
from kivfm_core.registry.requirements import pip_install, repair, unmet
from kivfm_core.spec import READS, TeacherProvider, TeacherSpec
from kivfm_core.task import TaskRecord
from kivfm_core.tasks.table import FIDELITY, KNN, RETRIEVAL, TASKS

Status = Literal["ready", "needs", "broken", "conflict", "incompatible"]


@dataclass(frozen=True)
class Entry:
    """A teacher, a provider, a plugin's task, or a plugin that gave none of them.

    Attributes:
        name: The teacher's or task's name, the provider's prefix, `distribution::name` in a
            conflict, or the entry point's name if the plugin gave none of these.
        distribution: The installed package that the plugin belongs to.
        version: Version of the distribution.
        status: `ready`, or why it cannot be used.
        spec: The teacher's spec, if it could be read.
        provider: The provider, if the entry is one.
        task: The task, if the entry is one.
        cause: What is wrong, in one line.
        hint: What repairs it; a command where there is one.
        point: Name of the entry point.
        milliseconds: Time that the entry point took at discovery.
        heavy: A heavy module that the entry point imported at discovery; empty if none.
    """

    name: str
    distribution: str
    version: str
    status: Status = "ready"
    spec: TeacherSpec | None = None
    provider: TeacherProvider | None = None
    task: TaskRecord | None = None
    cause: str = ""
    hint: str = ""
    point: str = ""
    milliseconds: float = 0.0
    heavy: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is no record: a plugin that failed, or a record that cannot be read."""
        return self.spec is None and self.provider is None and self.task is None

    @property
    def bare(self) -> str:
        """The name without the distribution that a conflict puts before it."""
        return self.name.rpartition("::")[2]


def read_entry(item: object, plugin: Entry) -> Entry:
    """The entry of one item that a plugin's hook returned.

    The api version is read before any other field: a record of a newer version, whatever its
    fields, shall be reported as incompatible, with the upgrade to run, and not as broken.

    Args:
        item: A spec or a provider, or a mapping or another object with the fields of one.
        plugin: The entry of the plugin itself, which is filled in further.
    """
    entry = replace(plugin, name=str(_get(item, "name") or _get(item, "prefix") or plugin.name))
    api = _get(item, "api_version")
    if isinstance(api, int) and api not in READS:
        return _of_other_api(entry, api)
    kind = TeacherProvider if _get(item, "prefix") is not None else TeacherSpec
    try:
        given = dict(item) if isinstance(item, Mapping) else item  # pyright: ignore
        record = kind.model_validate(given, from_attributes=not isinstance(given, dict))
        if isinstance(record, TeacherProvider):
            return _with_requirements(replace(entry, provider=record), (record.distribution,))
        return _with_requirements(replace(entry, spec=record), record.requirements)
    except (ValidationError, InvalidRequirement) as error:
        return broken(entry, error)


def read_task(item: object, plugin: Entry) -> Entry:
    """As `read_entry`, for what the hook of tasks gave: a task's record, or a dict of one."""
    entry = replace(plugin, name=str(_get(item, "name") or plugin.name))
    api = _get(item, "api_version")
    if isinstance(api, int) and api not in READS:
        return _of_other_api(entry, api)
    try:
        given = dict(item) if isinstance(item, Mapping) else item  # pyright: ignore
        record = TaskRecord.model_validate(given, from_attributes=not isinstance(given, dict))
        if record.name in (*TASKS, KNN.name, RETRIEVAL.name, FIDELITY):
            raise ValueError(f"{record.name} is one of kivfm's own names")
        if any(isinstance(kind, str) for kind in record.formats):
            # Imported here, since it needs numpy and PIL, and few plugins come this way.
            from kivfm_core.data.sources import formats_of

            formats_of(record)
        return replace(entry, task=record)
    except (ValueError, PluginError) as error:  # pydantic's are ValueErrors, too
        return broken(entry, error)


def _get(item: object, field: str) -> Any:
    return item.get(field) if isinstance(item, Mapping) else getattr(item, field, None)  # pyright: ignore


def _with_requirements(entry: Entry, requirements: tuple[str, ...]) -> Entry:
    missing = unmet(requirements)
    if not missing:
        return entry
    cause, hint = f"needs {', '.join(missing)}", pip_install(missing)
    return replace(entry, status="needs", cause=cause, hint=hint)


def incompatible(entry: Entry, cause: str) -> Entry:
    """The entry of a plugin that is made for another version of kivfm."""
    return replace(
        entry, status="incompatible", cause=cause, hint="pip install --upgrade kivfm", spec=None
    )


def _of_other_api(entry: Entry, api: int) -> Entry:
    read = " and ".join(map(str, READS))
    found = incompatible(entry, f"its api version is {api}, this kivfm reads {read}")
    if api < min(READS):
        return replace(found, hint=repair(entry.distribution))
    return found


def broken(entry: Entry, error: BaseException) -> Entry:
    """The entry of a plugin or spec that failed with an error."""
    if isinstance(error, ValidationError):
        for item in error.errors():
            # The plugin itself made a spec of another api version from our class, which refused it.
            if item["loc"] == ("api_version",) and str(item["input"]).isdigit():
                return _of_other_api(entry, int(item["input"]))
    hint = repair(entry.distribution)
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"pip install {error.name.split('.')[0]}"
    return replace(entry, status="broken", cause=one_line(error), hint=hint)
