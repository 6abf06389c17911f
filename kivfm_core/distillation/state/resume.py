"""Going on with a run: what may change, and what may not.

The run's own configuration may change where the student does not depend on it, or where something
better than a path tells whether it is the same (hashes of weights and of pictures).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, cast

from kivfm_core.composition.compose import check_engine, compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.errors import UsageError
from kivfm_core.registry.registry import get_registry
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec

FREE = (
    "optim.steps",
    "optim.micro_batch",
    "optim.bad_limit",
    "data.path",
    "data.workers",
    "data.memory",
    "data.bad_limit",
    "weights.",
    "engine.accelerator",
    "engine.devices",
    "engine.nodes",
    "engine.strategy",
    "engine.compile",
    "engine.activation_checkpointing",
    "engine.memory",
    "cache.path",
    "cache.limit",
    "checkpoint.",
)
"""Settings, and tables of them, that a resumed run may change."""

EARLIER = {
    ("optim", "optimizer"): "adamw",
    ("optim", "global_level_lr"): 1.0,
    ("cache", "encoding"): "bf16",
    ("student", "latent_map"): "fixed",
    ("data", "whole"): 0.0,
    ("data", "mosaic"): 0.0,
}
"""What runs did that were made before there was a choice, and do not name it."""

SPEC = ("encoder", "config", "levels", "input", "tasks", "attachments")
"""What a teacher's answers depend on, beside its weights."""


@dataclass(frozen=True)
class ResumePlan:
    """What a run goes on with.

    Attributes:
        config: The configuration.
        composition: The student's plan.
        changes: What is not as the run began, a line each; it is allowed.
    """

    config: RunConfig
    composition: Composition
    changes: tuple[str, ...] = ()


def plan_resume(run: Run, config: RunConfig, allow: bool) -> ResumePlan:
    """What a run goes on with.

    Args:
        run: The run.
        config: What is asked for now.
        allow: Whether all may change that leaves the student's shape alone.

    Raises:
        UsageError: Naming what is not as the run began, or what its adapter does not go with.
    """
    changes = differences(begun(run), config_at_start(config))
    changes += [line for spec in run.teachers for line in _redeclared(spec)]
    check(run, changes, allow)
    composition = _as_built(compose(config), run.composition) if changes else run.composition
    check_engine(config.engine, composition)
    return ResumePlan(config, composition, tuple(changes))


def _as_built(composition: Composition, before: Composition) -> Composition:
    """What is asked for now, with the projectors that the student has; recipes differ in them."""
    built = {plan.key: plan.projector for plan in before.aligners}
    aligners = tuple(
        plan.model_copy(update={"projector": built.get(plan.key, plan.projector)})
        for plan in composition.aligners
    )
    return composition.model_copy(update={"aligners": aligners})


def check(run: Run, changes: Sequence[str], allow: bool) -> None:
    """Refuses changes that are not allowed.

    Raises:
        UsageError: Naming them.
    """
    if changes and not allow:
        raise UsageError(
            f"not as {run.path} began:\n  " + "\n  ".join(changes),
            f"put it back; or, all the same: kivfm distill --resume {quote(str(run.path))} "
            "--allow-changes",
        )


def config_at_start(config: RunConfig) -> dict[str, Any]:
    """A configuration as `environment.json` keeps it."""
    return config.model_dump(mode="json", by_alias=True, exclude_none=True)


def begun(run: Run) -> dict[str, Any]:
    """The configuration that a run began with."""
    known = run.environment if (run.path / "environment.json").exists() else {}
    before: dict[str, Any] = known.get("configuration", config_at_start(run.config))
    for (table, key), value in EARLIER.items():
        before = {**before, table: {key: value, **before.get(table, {})}}
    return before


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The settings that differ and may not, a line each.

    Example:
        >>> differences({"seed": 0, "optim": {"steps": 1}}, {"seed": 1, "optim": {"steps": 2}})
        ['seed: 0, now 1']
    """
    old, new = _flat(before), _flat(after)
    return [
        f"{key}: {old.get(key, 'not given')}, now {new.get(key, 'not given')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not key.startswith(FREE)
    ]


def _redeclared(spec: TeacherSpec) -> list[str]:
    """Where a teacher is not declared any more as a run has stored it."""
    entry = get_registry().origin(spec)
    if entry is None or entry.spec is None:
        return []  # A missing plugin has an error of its own, and a provider's spec is made anew.
    old, new = (s.model_dump(mode="json", include=set(SPEC)) for s in (spec, entry.spec))
    return [f"{spec.name} declares {line}" for line in differences(old, new)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values; a list of named tables by its names, and by their order."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            items = cast(list[dict[str, Any]], value)
            names = [str(item.get("name", item.get("task", i))) for i, item in enumerate(items)]
            flat[prefix + key] = ", ".join(names)
            value = dict(zip(names, items, strict=True))
        if isinstance(value, Mapping):
            flat |= _flat(cast(Mapping[str, Any], value), f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
