"""What each part of the shared space is worth: `kpu-joint` with one thing changed, and `kpu`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.method.changed_recipes import changes_of
from benchmarks.method.equal_parameters import Size
from benchmarks.method.jobs import Job

JOINT, LEARNED = "kpu-joint", "kpu-joint-learned"
# Views of the fit; by default 256.
VIEWS = (32, 1024)


def joint_parts(plain: Job, size: Callable[[str], Size]) -> Iterator[Job]:
    """`kpu`, `kpu-joint` and `kpu-joint-learned`, then `kpu-joint` with one thing changed.

    Args:
        plain: Of `kpu`.
        size: At which a recipe has as many trainable parameters as all others.
    """
    yield plain
    ours = replace(plain, recipe=JOINT, size=size(JOINT))
    yield ours
    yield replace(plain, recipe=LEARNED, size=size(LEARNED))
    for name, recipe in changes_of(JOINT).items():
        yield replace(plain, variant=name, recipe=recipe, size=size(recipe))
    for count in VIEWS:
        flags = ("--set", f"optim.calibration={count}")
        yield replace(ours, variant=f"a fit to {count} views", flags=flags)
