"""Our recipe with two to eight teachers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.method.extra_teachers import EXTRA_TEACHERS
from benchmarks.method.jobs import Job

BASE = "dino/nano"
# In the order in which they are added: the hardest to inherit first, the extra ones last.
ADDED = ("detector/nano", "segmenter/nano", "sam/nano", "clip/nano", *EXTRA_TEACHERS)


def teacher_counts(plain: Job) -> Iterator[Job]:
    """The base with one purpose teacher, with two, and so on.

    Args:
        plain: What is the same for all.
    """
    for count in range(1, len(ADDED) + 1):
        teachers = ",".join((BASE, *ADDED[:count]))
        yield replace(plain, variant=f"{count + 1} teachers", teachers=teachers)
