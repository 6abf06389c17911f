"""Names to teachers. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote

from packaging.utils import canonicalize_name

from kivfm_core.errors import PluginError, UsageError, printable
from kivfm_core.registry.conflicts import ready_tasks
from kivfm_core.registry.discovery import discover
from kivfm_core.registry.entry import Entry
from kivfm_core.registry.heads import heads, is_head
from kivfm_core.registry.provider import resolve_provided
from kivfm_core.registry.students import find_bundle, is_student, students
from kivfm_core.registry.suggestions import explain_absent, explain_unknown, explain_unknown_task
from kivfm_core.run_files import RunFiles
from kivfm_core.spec import TeacherProvider, TeacherSpec
from kivfm_core.task import TaskRecord
from kivfm_core.tasks.table import TASKS
from kivfm_core.weights.locate import locate


@dataclass(frozen=True)
class Registry:
    """Everything that plugins registered.

    Attributes:
        entries: Teachers, providers, plugins' tasks and failed plugins, by distribution and name.
    """

    entries: tuple[Entry, ...]

    @property
    def providers(self) -> list[TeacherProvider]:
        """The prefixes under which whole libraries are teachers."""
        return [entry.provider for entry in self.entries if entry.provider]

    @property
    def tasks(self) -> dict[str, TaskRecord]:
        """Kivfm's own tasks and those that plugins registered, by name."""
        return ready_tasks(self.entries)

    def resolve(self, name: str, variant: str | None = None) -> TeacherSpec:
        """The spec of a teacher.

        Args:
            name: A full name, an alias, a bare family (its default variant), `distribution::name`,
                or a name under a provider's prefix, or a short name of one.
            variant: Which variant of a bare family, in place of its default.

        Raises:
            UsageError: If nothing has this name, or several have it.
            PluginError: If its plugin is missing, broken, incompatible, or lacks requirements.
        """
        return self.find(name, variant)[0]

    def find(self, name: str, variant: str | None = None) -> tuple[TeacherSpec, Entry]:
        """As `resolve`, with the entry that it comes from."""
        if self.find_student(name) is not None:
            entry = students()
            assert entry.provider is not None
            return resolve_provided(entry, entry.provider, name), entry
        if not self.knows(name) and RunFiles(Path(name).expanduser()).is_run:
            raise UsageError(
                f"{printable(name)} is a run that has no student yet",
                f"kivfm distill --resume {quote(name)}",
            )
        pin, _, wanted = name.rpartition("::")
        pin = canonicalize_name(pin)
        entries = [e for e in self.entries if pin in ("", e.distribution)]
        if variant is not None and wanted in _families(entries):
            wanted = _of_variant(wanted, variant, entries)
        found = _choose(wanted, entries, pinned=bool(pin))
        if found is not None and found.spec is not None:
            return found.spec, found
        provided = _provided(wanted, entries)
        if provided is None:
            raise explain_unknown(wanted, entries)
        whole, provider, entry = provided
        _must_work(entry, pinned=bool(pin))
        return self._with_known_tasks(resolve_provided(entry, provider, whole)), entry

    def find_student(self, name: str) -> Path | None:
        """The bundle of the student that a name stands for; None for a teacher's name.

        What is both a folder and a teacher is the teacher; `./NAME` is the folder.
        """
        return None if self.knows(name) else find_bundle(name)

    def knows(self, name: str) -> bool:
        """Whether a name is a teacher's, an alias, or a provider's: under its prefix, or short."""
        return "::" in name or any(
            name in (e.bare, *(e.spec.aliases if e.spec else ()))
            or (e.provider is not None and e.provider.whole(name) is not None)
            for e in self.entries
        )

    def _with_known_tasks(self, spec: TeacherSpec) -> TeacherSpec:
        """A provider's spec, judged as discovery judges one that a plugin gives."""
        for task in spec.tasks:
            if task.task not in self.tasks:
                error = explain_unknown_task(task.task, self.entries)
                if isinstance(error, PluginError):
                    raise error
                raise PluginError(f"{spec.name} solves {task.task!r}, which is no task", error.hint)
        return spec

    def origin(self, spec: TeacherSpec) -> Entry | None:
        """The entry that a spec comes from; None if it is gone.

        In a conflict, it is the entry whose spec is equal.
        """
        found = [
            entry
            for entry in self.entries
            if (entry.spec and entry.bare == spec.name)
            or (entry.provider and spec.name.startswith(entry.provider.prefix))
        ]
        if not found and is_student(spec):
            return students()
        if not found and is_head(spec):
            return heads()
        return max(found, key=lambda entry: entry.spec == spec, default=None)

    def usable(self) -> list[TeacherSpec]:
        """The teachers whose requirements are met and whose weights are on this machine."""
        ready = (entry.spec for entry in self.entries if entry.status == "ready" and entry.spec)
        return [spec for spec in ready if self.weights_here(spec)]

    def offline_variant(self, spec: TeacherSpec) -> str | None:
        """The variant of a teacher's family that needs no download, if there is one."""
        nano = f"{spec.family}/nano"
        return nano if nano in {entry.name for entry in self.entries} else None

    @staticmethod
    def weights_here(spec: TeacherSpec) -> bool:
        """Whether a teacher's weights are on this machine."""
        # A student is selected by the folder that it lies in.
        return is_student(spec) or locate(spec.weights.source) is not None


def _choose(name: str, entries: list[Entry], *, pinned: bool) -> Entry | None:
    """The one entry of a name or, if no teacher has it as its name, of an alias."""
    teachers = [entry for entry in entries if entry.spec is not None]
    found = [entry for entry in teachers if entry.bare == name]
    if not found:
        found = [entry for entry in teachers if entry.spec and name in entry.spec.aliases]
        ready = [entry for entry in found if entry.status == "ready"]
        found = ready or found
        if len({entry.name for entry in found}) > 1:
            raise UsageError(
                f"{name} is an alias of several teachers: "
                + ", ".join(f"{entry.name} ({entry.distribution})" for entry in found),
                f"say which: {' or '.join(entry.name for entry in found)}",
            )
    if not found:
        failed = [e for e in entries if e.bare == name and e.empty]
        found = [entry for entry in failed if entry.status != "ready"]
    if found:
        _must_work(found[0], pinned=pinned)
        return found[0]
    return None


def _provided(name: str, entries: list[Entry]) -> tuple[str, TeacherProvider, Entry] | None:
    """The whole name of a provider's model, the provider, and its entry."""
    found = {
        whole: (whole, entry.provider, entry)
        for entry in reversed(entries)  # the first of one prefix counts
        if entry.provider and (whole := entry.provider.whole(name)) is not None
    }
    if len(found) > 1:
        raise UsageError(
            f"{name} is short for several teachers: {', '.join(sorted(found))}",
            f"say which: {' or '.join(sorted(found))}",
        )
    return next(iter(found.values()), None)


def _must_work(entry: Entry, *, pinned: bool) -> None:
    if entry.status == "ready" or (entry.status == "conflict" and pinned):
        return
    raise PluginError(
        f"{entry.bare} ({entry.distribution} {entry.version}) cannot be used: {entry.cause}",
        entry.hint,
    )


def _families(entries: Iterable[Entry]) -> set[str]:
    families = {entry.spec.family for entry in entries if entry.spec}
    return families | {e.bare for e in entries if e.empty}


def _of_variant(family: str, variant: str, entries: list[Entry]) -> str:
    wanted = f"{family}/{variant}"
    variants = sorted({e.spec.variant for e in entries if e.spec and e.spec.family == family})
    if variant not in variants:
        raise explain_absent(wanted, entries) or UsageError(
            f"{family} has no variant {variant!r}",
            f"it has: {', '.join(variants)}" if variants else "kivfm teachers list",
        )
    return wanted


@cache
def get_registry() -> Registry:
    """The registry of this process; discovery runs once."""
    return Registry(tuple(discover()))


def list_teachers() -> list[Entry]:
    """Every teacher and provider that is registered, with its status, and every failed plugin."""
    return [entry for entry in get_registry().entries if entry.task is None]


def get_tasks() -> dict[str, TaskRecord]:
    """Kivfm's own tasks and those that plugins registered, by name."""
    return get_registry().tasks


def find_task(name: str) -> TaskRecord:
    """The record of a task.

    Raises:
        UsageError: If no task has this name.
        PluginError: If it is the task of a plugin that is missing or broken.
    """
    # kivfm's own need no discovery.
    found = TASKS.get(name) or get_tasks().get(name)
    if found is None:
        raise explain_unknown_task(name, get_registry().entries)
    return found
