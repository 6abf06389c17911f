"""A student's plan with one more head, which reads the student's own features. Torch-free.

A dense head reads the trunk's maps at several depths, too. The trunk's one pass gives them, and
without them a head on a student would see less of its base than a head on that base alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from kivfm_core.adapters.depths_plan import DepthsPlan
from kivfm_core.aligners.own_plan import OwnPlan
from kivfm_core.composition.composition import Composition, Unfreeze
from kivfm_core.composition.plan_parts import features_of, own_aligner
from kivfm_core.composition.student_teacher import whole_images
from kivfm_core.errors import UsageError, printable
from kivfm_core.heads.table import ENCODER, PREFIX, SPLIT, HeadKind
from kivfm_core.licenses.terms import inherited
from kivfm_core.spec import Level, TaskSpec, TeacherSpec, Weights


def plan_head(
    plan: Composition,
    name: str,
    kind: HeadKind,
    classes: Sequence[str],
    unfreeze: Unfreeze = "none",
    reads: Sequence[str] | None = None,
) -> Composition:
    """The plan of a student that has a head, too; the rest is as it was.

    For a dense head the student also offers its trunk's depths, if it does not yet.

    Args:
        plan: The student's.
        name: What the head is called: among the teachers it is `head/NAME`.
        kind: Its kind.
        classes: The names of its classes.
        unfreeze: What of the student is trained with it.
        reads: Names of the features that it reads; None: all that its kind reads.

    Raises:
        UsageError: If the student has one of this name, no adapter to train, or no such feature.
    """
    if unfreeze == "adapter" and not any(adapter.parameters for adapter in plan.adapters):
        raise UsageError("the student has no adapter with weights to train", "--unfreeze all")
    offering = with_depths(plan) if kind.reads == "dense" else plan
    levels = _chosen(own_levels(offering, kind), reads)
    if {level.name for level in levels} - {"x", *(known.name for known in plan.maps)}:
        plan = offering
    spec = head_spec(plan, name, kind, classes, levels)
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


def head_spec(
    plan: Composition, name: str, kind: HeadKind, classes: Sequence[str], levels: tuple[Level, ...]
) -> TeacherSpec:
    """The spec of a head: the student's own features are its levels, whole images its canvases."""
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


def with_depths(plan: Composition) -> Composition:
    """The plan of a student that offers its trunk's maps at several depths beside its own."""
    if any(isinstance(adapter, DepthsPlan) for adapter in plan.adapters):
        return plan
    taken = {known.name for known in plan.maps}
    request = features_of(plan).request((), None)
    others = tuple(level for level in request.levels if level.name not in taken)
    depths = DepthsPlan.plan(request.model_copy(update={"levels": others}))
    extensions = (*plan.extensions, depths) if depths.maps else plan.extensions
    return plan.model_copy(update={"extensions": extensions})


def own_levels(plan: Composition, kind: HeadKind) -> tuple[Level, ...]:
    """The student's features that a head reads, as levels."""
    maps = tuple(Level(kind="dense", **known.model_dump()) for known in plan.maps)
    if kind.reads == "dense":
        return maps
    x = Level(name="x", kind="global", channels=plan.x_channels)
    # Without a global level in the trunk, x is V averaged: once is enough.
    return (x, maps[0]) if plan.x_level else (x,)


def _chosen(levels: tuple[Level, ...], names: Sequence[str] | None) -> tuple[Level, ...]:
    """The levels of these names; all, if there are none."""
    if names is None:
        return levels
    known = [level.name for level in levels]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"a head of this kind cannot read {printable(unknown[0])}", f"--reads {','.join(known)}"
        )
    return tuple(level for level in levels if level.name in names)
