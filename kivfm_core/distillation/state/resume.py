"""Resuming a run: which settings may change, and which may not.

A setting may change if the student does not depend on it, or if something better than a path tells
whether what it names is the same: hashes of weights and of images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from kivfm_core.composition.compose import check_engine, compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.distillation.state.checkpoint import latest_checkpoint
from kivfm_core.errors import UsageError
from kivfm_core.registry.redeclared import changed, flatten, redeclared
from kivfm_core.registry.registry import get_registry
from kivfm_core.runs.run import Run

# Settings, and tables of them, that a resumed run may change.
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
    "log",
)

# Runs of before there was such a setting do not name it. This is what they did.
EARLIER = {
    ("optim", "optimizer"): "adamw",
    ("optim", "global_level_lr"): 1.0,
    ("cache", "encoding"): "bf16",
    ("student", "latent_map"): "fixed",
    ("data", "whole"): 0.0,
    ("data", "mosaic"): 0.0,
}


@dataclass(frozen=True)
class ResumePlan:
    """What a run begins or resumes with.

    Attributes:
        config: The configuration.
        composition: The student's plan.
        changes: The settings that are not as the run began, a line each; all are allowed.
    """

    config: RunConfig
    composition: Composition
    changes: tuple[str, ...] = ()


def plan_resume(run: Run, config: RunConfig, allow: bool) -> ResumePlan:
    """Compares a run with the configuration that it is to be resumed with.

    Args:
        run: The run.
        config: The configuration wanted now.
        allow: Whether everything may change that does not change the student's shape.

    Raises:
        UsageError: If settings are not as the run began, or do not work with its adapter; or if
            work would be lost.
    """
    changes = differences(recorded_config(run), config_at_start(config))
    changes += redeclared(run.teachers, get_registry())
    check_changes(run, changes, allow)
    _check_nothing_is_lost(run, config.optim.steps)
    if latest_checkpoint(run.checkpoints) is None:
        composition = compose(config)  # it begins again, and nothing was built from the stored plan
    elif changes:
        composition = _as_built(compose(config), run.composition)
    else:
        composition = run.composition
    check_engine(config.engine, composition)
    return ResumePlan(config, composition, tuple(changes))


def _check_nothing_is_lost(run: Run, steps: int) -> None:
    """Refuses to end before the steps made, and to begin again where there is something."""
    path = quote(str(run.path))
    if latest_checkpoint(run.checkpoints) is None:
        if run.has_student or run.steps:
            raise UsageError(
                f"{run.path} has no whole checkpoint to go on from, and beginning again would "
                "replace what it has",
                f"start anew: kivfm distill --out {path}-2",
            )
    elif steps < run.steps:
        raise UsageError(
            f"{run.path} made {run.steps} steps: it cannot end at {steps}",
            f"kivfm distill --resume {path} --steps N, with a larger N",
        )


def _as_built(composition: Composition, before: Composition) -> Composition:
    """The composition wanted now, with the projectors and the start that the student was built on.

    Recipes differ in projectors, and a built student cannot change its own.
    """
    built = {plan.key: plan.projector for plan in before.aligners}
    aligners = tuple(
        plan.model_copy(update={"projector": built.get(plan.key, plan.projector)})
        for plan in composition.aligners
    )
    update = {"aligners": aligners, "pretrained": before.pretrained}
    return composition.model_copy(update=update)


def check_changes(run: Run, changes: Sequence[str], allow: bool) -> None:
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
    """A configuration as `environment.json` has it."""
    return config.model_dump(mode="json", by_alias=True, exclude_none=True)


def recorded_config(run: Run) -> dict[str, Any]:
    """The configuration that a run began with."""
    # An edited `config.toml` does not count: the environment has the configuration as it was.
    known = run.environment.get("configuration")
    before: dict[str, Any] = config_at_start(run.config) if known is None else known
    for (table, key), value in EARLIER.items():
        before = {**before, table: {key: value, **before.get(table, {})}}
    return before


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The settings that differ although they may not, a line each.

    Example:
        >>> differences({"seed": 0, "optim": {"steps": 1}}, {"seed": 1, "optim": {"steps": 2}})
        ['seed: 0, now 1']
    """
    old, new = (
        {key: value for key, value in flatten(table).items() if not key.startswith(FREE)}
        for table in (before, after)
    )
    return changed(old, new)
