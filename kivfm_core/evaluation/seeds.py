"""Runs that differ only by seed, as one: the mean of their scores, with the spread between them.

An interval of a mean is about images and about seeds. In each draw of the images the mean is moved
by its standard error between seeds, times a draw of Student's t, since few runs know their spread
badly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kivfm_core.errors import UsageError
from kivfm_core.evaluation.bootstrap import DRAWS, SEED, Draws, differences, interval
from kivfm_core.evaluation.compared import Average, ComparedRow
from kivfm_core.models.model import Model
from kivfm_core.runs.heads import head_settings

# A row of a run, with the draws of its score; None if the task's meter does not know.
Drawn = tuple[ComparedRow, Draws | None]
# What is averaged is of the same group, task, source and decoder.
_Key = tuple[str, str, str, str]


def group_by_seed(models: Iterable[Model]) -> dict[str, str]:
    """The group of each model, by name: the first run that differs from it only by seed.

    Raises:
        UsageError: If no two runs are alike.
    """
    groups, firsts = dict[str, str](), list[tuple[str, dict[str, Any]]]()
    for model in models:
        if model.run is None:
            groups[model.name] = model.name
            continue
        heads = head_settings(model.run)
        config = {**model.run.read_config(), "seed": None, "heads": heads}
        alike = (name for name, other in firsts if other == config)
        groups[model.name] = next(alike, model.name)
        if groups[model.name] == model.name:
            firsts.append((model.name, config))
    if len(set(groups.values())) == len(groups):
        raise UsageError(
            "no two of these are runs that differ only by seed",
            "repeat a run with its own command, another --seed and another --out",
        )
    return groups


def average(drawn: Sequence[Drawn], groups: Mapping[str, str]) -> tuple[Average, ...]:
    """Averages rows of runs over the seeds.

    Args:
        drawn: Rows, with their draws; differences are to the first group of a task and source.
        groups: The group of each model, by name.
    """
    alike: dict[_Key, list[Drawn]] = {}
    for row, draws in drawn:
        key = (row.task, row.data, groups[row.model], row.teacher)
        alike.setdefault(key, []).append((row, draws))
    firsts: dict[tuple[str, str], tuple[float, Draws | None]] = {}
    return tuple(
        _average(key, own, number, firsts) for number, (key, own) in enumerate(alike.items())
    )


def _average(
    key: _Key,
    own: Sequence[Drawn],
    number: int,
    firsts: dict[tuple[str, str], tuple[float, Draws | None]],
) -> Average:
    """A group at a task, beside the first group."""
    task, data, group, teacher = key
    rows = [row for row, _ in own]
    scores = np.array([row.score for row in rows])
    mean = float(scores.mean())
    deviation = float(scores.std(ddof=1)) if len(rows) > 1 else None
    draws = _draws_of_mean([draws for _, draws in own], deviation, number)
    is_first = (task, data) not in firsts
    base, others = firsts.setdefault((task, data), (mean, draws))
    ends = None if is_first else interval(differences(draws, others), mean - base, (-1.0, 1.0))
    return Average(
        group=group,
        runs=tuple(row.model for row in rows),
        teacher=teacher,
        task=task,
        metric=rows[0].metric,
        data=data,
        pictures=rows[0].pictures,
        score=mean,
        deviation=deviation,
        score_interval=interval(draws, mean),
        chance_score=rows[0].chance_score,
        difference=None if is_first else mean - base,
        difference_interval=ends,
        beyond_chance=None if ends is None else not ends[0] <= 0 <= ends[1],
    )


def _draws_of_mean(
    parts: Sequence[Draws | None], deviation: float | None, number: int
) -> Draws | None:
    """Draws of a mean over runs: of the images, and of the seeds as far as their spread is known.

    Args:
        parts: Of each run, on the same draws of the images.
        deviation: Between the runs' scores; None of one run.
        number: The group's, so that the seeds of two groups are drawn apart.
    """
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    mean = np.mean(known, axis=0)
    if deviation is None:
        return mean
    moved = np.random.default_rng((SEED, number)).standard_t(len(parts) - 1, size=DRAWS)
    return mean + moved * deviation / len(parts) ** 0.5
