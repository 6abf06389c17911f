"""Measures the teachers of a student together where their canvases are equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kivfm_core.evaluation.comparison import Comparison
from kivfm_core.evaluation.measure import Entry, Score, measure_together
from kivfm_core.evaluation.result import Row
from kivfm_core.evaluation.worklist import Item
from kivfm_core.progress import stage
from kivfm_core.student.one_look import look_once

# A comparison, with items that are all on the same images.
Part = tuple[Comparison, list[Item]]
Paths = tuple[Path, ...]


def measure_tasks(compared: Sequence[tuple[Comparison, Sequence[Item]]]) -> list[list[Row]]:
    """Measures the items of several teachers, images in the outer loop and models in the inner.

    All that is measured on the same images shares a teacher's pass; all stand-ins of a student
    share the student's.

    Args:
        compared: Comparisons of teachers of one `canvas_kind`, with the items of each.

    Returns:
        The rows of each comparison.
    """
    models = [one for comparison, _ in compared for one in comparison.rivals.values()]
    look_once([*models, *(one.shared for one, _ in compared if one.shared)])
    groups = [_by_images(items) for _, items in compared]
    rows: list[dict[Paths, list[Row]]] = [{} for _ in compared]
    for paths in dict.fromkeys(paths for group in groups for paths in group):
        places = [place for place, group in enumerate(groups) if paths in group]
        part = [(compared[place][0], groups[place][paths]) for place in places]
        for place, found in zip(places, _measure_part(part), strict=True):
            rows[place][paths] = found
    return [
        [row for paths in group for row in own[paths]]
        for group, own in zip(groups, rows, strict=True)
    ]


def _by_images(items: Sequence[Item]) -> dict[Paths, list[Item]]:
    groups: dict[Paths, list[Item]] = {}
    for item in items:
        groups.setdefault(item.data.paths, []).append(item)
    return groups


def _measure_part(part: Sequence[Part]) -> list[list[Row]]:
    """The rows of each comparison, all on the same images."""
    first, entries = part[0][0], [one.entry(items) for one, items in part]
    what = "; ".join(one.told(", ".join(item.key for item in items)) for one, items in part)
    tick, team = stage(first.progress, what), first.team
    scores = measure_together(entries, tick, draws=True, team=team)
    again: list[dict[str, Score]] = [{} for _ in part]
    own = [
        Entry([one.shared], entry.tasks, empty={})
        for (one, _), entry in zip(part, entries, strict=True)
        if one.shared
    ]
    if own:  # all of them have one, or none
        tick = stage(first.progress, f"{what}, shared canvas")
        again = measure_together(own, tick, first.spec.input, draws=True, team=team)
    return [
        one.rows(items, entry, found, shared)
        for (one, items), entry, found, shared in zip(part, entries, scores, again, strict=True)
    ]
