"""Recipes with a shared space beside others, and `kpu-joint` with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.method.changed_recipes import changes_of
from benchmarks.method.equal_parameters import Size
from benchmarks.method.jobs import Job

JOINT = "kpu-joint"
# The three rivals kept most in the suite `recipes`.
COMPARED = ("kpu", JOINT, "kpu-joint-learned", "levels", "phi-s", "c-radio", "theia")
# Views of the fit; by default 256.
VIEWS = (32, 1024)


def joint_recipes(plain: Job, size: Callable[[str], Size]) -> Iterator[Job]:
    """Recipes with a shared space, and those beside them.

    Args:
        plain: Of any recipe.
        size: At which a recipe has as many trainable parameters as all others.
    """
    for recipe in COMPARED:
        yield replace(plain, recipe=recipe, size=size(recipe))


def joint_parts(plain: Job, size: Callable[[str], Size]) -> Iterator[Job]:
    """`kpu-joint`, and what each of its parts is worth.

    Args:
        plain: Of any recipe.
        size: At which a recipe has as many trainable parameters as all others.
    """
    ours = replace(plain, recipe=JOINT, size=size(JOINT))
    yield ours
    for name, recipe in changes_of(JOINT).items():
        yield replace(plain, variant=name, recipe=recipe, size=size(recipe))
    for count in VIEWS:
        flags = ("--set", f"optim.calibration={count}")
        yield replace(ours, variant=f"a fit to {count} views", flags=flags)
