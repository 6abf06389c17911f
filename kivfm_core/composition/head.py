"""A student's plan with one more head, which reads the student's own features. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from kivfm_core.aligners.own_plan import OwnPlan
from kivfm_core.composition.composition import Composition, Unfreeze
from kivfm_core.composition.plan_parts import own_aligner
from kivfm_core.composition.student_teacher import whole_images
from kivfm_core.errors import UsageError
from kivfm_core.heads.table import ENCODER, PREFIX, SPLIT, HeadKind
from kivfm_core.licenses.terms import inherited
from kivfm_core.spec import Level, TaskSpec, TeacherSpec, Weights


def plan_head(
    plan: Composition,
    name: str,
    kind: HeadKind,
    classes: Sequence[str],
    unfreeze: Unfreeze = "none",
) -> Composition:
    """The plan of a student that has a head, too; the rest is as it was.

    Args:
        plan: The student's.
        name: What the head is called: among the teachers it is `head/NAME`.
        kind: Its kind.
        classes: The names of its classes.
        unfreeze: What of the student is trained with it.

    Raises:
        UsageError: If the student has one of this name, or no adapter to train.
    """
    if unfreeze == "adapter" and not any(adapter.parameters for adapter in plan.adapters):
        raise UsageError("the student has no adapter with weights to train", "--unfreeze all")
    spec = head_spec(plan, name, kind, classes)
    if spec.name in (known.name for known in plan.teachers):
        raise UsageError(f"the student has a {spec.name} already", f"--name {name}-2")
    own = tuple(own_aligner(OwnPlan, spec.name, level, plan.x_channels) for level in spec.levels)
    keys = [aligner.key for aligner in (*plan.aligners, *own)]
    if len(set(keys)) < len(keys):
        raise UsageError(f"{spec.name} differs from another name by punctuation only", "--name A")
    return plan.model_copy(
        update={
            "teachers": (*plan.teachers, spec),
            "aligners": (*plan.aligners, *own),
            "kept": (),  # nothing is left to distill
            # What an earlier head changed stays changed.
            "unfrozen": max(plan.unfrozen, unfreeze, key=get_args(Unfreeze).index),
        }
    )


def head_spec(plan: Composition, name: str, kind: HeadKind, classes: Sequence[str]) -> TeacherSpec:
    """The spec of a head: the student's own features are its levels, whole images its canvases."""
    levels = own_levels(plan, kind)
    task = TaskSpec(
        task=kind.task,
        levels=tuple(level.name for level in levels),
        decoder=kind.decoder,
        labels=tuple(classes),
    )
    return own_spec(plan, f"{PREFIX}{name}", kind.summary, levels, task)


def own_spec(
    plan: Composition, name: str, summary: str, levels: tuple[Level, ...], task: TaskSpec
) -> TeacherSpec:
    """The spec of what solves a task from a student's own features, with no teacher behind it.

    Args:
        plan: The student's.
        name: What it is called among the teachers.
        summary: One line for the list.
        levels: The features that it reads, as levels.
        task: What it solves.
    """
    terms = inherited(plan.origins)
    return TeacherSpec(
        name=name,
        summary=summary,
        encoder=ENCODER,
        levels=levels,
        input=whole_images(plan),
        tasks=(task,),
        weights=Weights(
            source=f"run:{name}",
            split=SPLIT,
            license=terms.strictest,
            commercial_use=terms.commercial_use,
        ),
        code_license=terms.strictest,
        parameters=plan.total,
    )


def own_levels(plan: Composition, kind: HeadKind) -> tuple[Level, ...]:
    """The student's features that a head reads, as levels."""
    maps = tuple(Level(kind="dense", **known.model_dump()) for known in plan.maps)
    if kind.reads == "dense":
        return maps
    x = Level(name="x", kind="global", channels=plan.x_channels)
    # Without a global level in the trunk, x is V averaged: once is enough.
    return (x, maps[0]) if plan.x_level else (x,)
