"""What a stored spec may name: only the code that its installed teacher names. Torch-free.

Runs and bundles carry their teachers' specs, and may come from a stranger. A spec names code, and
using it calls that code; it may also name a local folder with a tokenizer. So each reference of a
stored spec is compared, role by role, with those of the installed teacher of that name, before any
of them is imported or read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from kivfm_core.errors import PluginError, WeightsError, printable
from kivfm_core.registry.heads import heads
from kivfm_core.registry.provider import resolve_provided
from kivfm_core.registry.registry import Registry
from kivfm_core.registry.requirements import pip_install, unmet
from kivfm_core.registry.students import students
from kivfm_core.registry.suggestions import explain_absent
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.fetch import obtain
from kivfm_core.weights.locate import locate


def check_stored(
    specs: Iterable[TeacherSpec], registry: Registry, packages: Callable[[], Sequence[str]] = tuple
) -> None:
    """Refuses stored specs that name code which their installed teachers do not name.

    Args:
        specs: Those that a file holds.
        registry: The installed teachers.
        packages: Gives the names of the packages that brought them, as far as they are known.

    Raises:
        PluginError: If a teacher is not installed, or a reference is not its own; nothing of what
            the spec names has been imported then.
    """
    specs = list(specs)
    missing = [spec for spec in specs if registry.origin(spec) is None]
    if missing:
        raise _not_brought(missing, registry, unmet(packages()))
    for spec in specs:
        allowed = _allowed(spec, registry)
        for role, references in _references(spec).items():
            for reference in sorted(references - allowed.get(role, set())):
                raise PluginError(
                    f"the stored spec of {printable(spec.name)} names {printable(reference)} as its"
                    f" {role}, which the installed {printable(spec.name)} does not: not used",
                    "open it with the plugin version that made it, or not at all if it is a "
                    "stranger's",
                )


def obtain_weights(spec: TeacherSpec, given: Path | None, registry: Registry) -> Path:
    """The file of a teacher's weights: the one given, the one here, or a fetched one.

    What has to be fetched comes from where the installed plugin says, whatever a stored spec says.

    Raises:
        WeightsError: If there is none.
    """
    if registry.origin(spec) is heads():
        raise WeightsError(f"{printable(spec.name)} is a head of a student: it runs in that alone")
    if given is None and registry.origin(spec) is students():
        raise WeightsError(
            f"{printable(spec.name)} is a student, and its folder is not named or not there",
            f"--weights {spec.name}=RUN/student/student.safetensors",
        )
    # A cache has what the name says, whoever says it; a folder of this machine has anything.
    anywhere = spec.weights.source.startswith("run:")
    if given is None and (anywhere or locate(spec.weights.source) is None):
        spec = installed_spec(spec, registry) or spec
    return obtain(spec, given, registry.offline_variant(spec))


def has_weights(spec: TeacherSpec, registry: Registry) -> bool:
    """Whether `obtain_weights` finds the weights of a stored spec on this machine."""
    source, now = spec.weights.source, installed_spec(spec, registry)
    sources = [] if source.startswith("run:") else [source]
    return any(locate(s) is not None for s in (*sources, *([now.weights.source] if now else [])))


def installed_spec(spec: TeacherSpec, registry: Registry) -> TeacherSpec | None:
    """What the installed plugin says today of a spec's teacher; None if it brings none."""
    entry = registry.origin(spec)
    if entry in (students(), heads()):
        return None
    if entry is None or entry.provider is None:
        return entry.spec if entry is not None else None
    return resolve_provided(entry, entry.provider, spec.name)


def _not_brought(
    missing: Sequence[TeacherSpec], registry: Registry, absent: Sequence[str]
) -> PluginError:
    """The error for teachers that no plugin brings: which package does, and how to install it."""
    names = dict.fromkeys(_with_tasks(spec) for spec in missing)
    message = f"no installed plugin brings {', '.join(names)}"
    known = [explain_absent(spec.name, registry.entries) for spec in missing]
    if absent:
        return PluginError(
            f"{message}: not installed here are {', '.join(absent)}", pip_install(absent)
        )
    if found := next((error for error in known if error is not None), None):
        return PluginError(f"{message}: {found.message}", found.hint)
    return PluginError(message, "kivfm plugins list, and install the plugin that brought it")


def _with_tasks(spec: TeacherSpec) -> str:
    tasks = ", ".join(printable(task.task) for task in spec.tasks)
    return printable(spec.name) + (f" (for {tasks})" if tasks else "")


def _allowed(spec: TeacherSpec, registry: Registry) -> Mapping[str, set[str]]:
    """The references that the installed teacher, or its provider, names, by role."""
    entry = registry.origin(spec)
    assert entry is not None  # the caller has looked
    if entry.provider is None:
        assert entry.spec is not None
        return _references(entry.spec)
    declared = entry.provider.references
    if declared is not None:
        return {role: set(names) for role, names in declared.model_dump().items()}
    return _references(resolve_provided(entry, entry.provider, spec.name))


def _references(spec: TeacherSpec) -> dict[str, set[str]]:
    """All references of a spec, by role."""
    roles = {
        "encoder": {spec.encoder},
        "decoder": {task.decoder for task in spec.tasks},
        "split": {spec.weights.split},
        "fetch": {spec.weights.fetch or ""},
        "original": {spec.original or ""},
        # A folder of this machine has anything. A bundle's own tokenizers are found, not named.
        "tokenizer": {t.tokenizer for t in spec.tasks if (t.tokenizer or "").startswith("run:")},
    }
    return {role: {name for name in references if name} for role, references in roles.items()}
