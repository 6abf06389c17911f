"""What each part of the shared space is worth: `kpu-joint` with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.method.changed_recipes import changes_of
from benchmarks.method.equal_parameters import Size
from benchmarks.method.jobs import Job

OURS, JOINT, LEARNED = "kpu", "kpu-joint", "kpu-joint-learned"
# Views of the fit; by default 256.
VIEWS = (32, 1024)


def joint_parts(plain: Job, size: Callable[[str], Size], seeds: int) -> Iterator[Job]:
    """Whether heads meet, and whether the way there is learned; then, with one seed, the parts.

    Args:
        plain: Of any recipe, with the first seed.
        size: At which a recipe has as many trainable parameters as all others.
        seeds: How many the recipes are compared with.
    """
    for seed in range(plain.seed, plain.seed + seeds):
        for recipe in (OURS, JOINT, LEARNED):
            yield replace(plain, recipe=recipe, size=size(recipe), seed=seed)
    for name, recipe in changes_of(JOINT).items():
        yield replace(plain, variant=name, recipe=recipe, size=size(recipe))
    ours = replace(plain, recipe=JOINT, size=size(JOINT))
    for count in VIEWS:
        flags = ("--set", f"optim.calibration={count}")
        yield replace(ours, variant=f"a fit to {count} views", flags=flags)
