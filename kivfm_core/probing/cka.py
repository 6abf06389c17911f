"""Fidelity without a map: linear CKA between two networks' levels on the same images.

Kornblith et al., https://arxiv.org/abs/1905.00414, with the estimate of HSIC that is unbiased in
the number of images (Song et al., JMLR 13, 2012): few images do not make everything alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.data.named_images import find_named
from kivfm_core.errors import DataError, UsageError
from kivfm_core.evaluation.bootstrap import draw_images, interval
from kivfm_core.geometry import Frame
from kivfm_core.models.open import open_model
from kivfm_core.probing.bench import Bench
from kivfm_core.probing.result import ProbeRow
from kivfm_core.spec import Level
from kivfm_core.task import spread
from kivfm_core.teacher import Encoder, Levels

# Dense levels are averaged to so many times so many places, each compared with its like.
PLACES = 4
# Images, at most, unless a limit is given; and at least.
MOST, LEAST = 1000, 8


@dataclass(frozen=True)
class Side:
    """One of the two networks that are compared.

    Attributes:
        name: For a reader.
        encoder: What gives its levels.
        weights: The hash of its weights, if it is another model's.
    """

    name: str
    encoder: Encoder
    weights: str = ""


def run(bench: Bench) -> list[ProbeRow]:
    """Compares a model's levels with another's of the same kind, or stand-ins with teachers.

    Raises:
        UsageError: If there is nothing to compare with.
        DataError: If there are too few images, or levels do not vary.
    """
    named = find_named(bench.source("val"))
    paths = [named.path(name) for name in named.names]
    paths = [paths[i] for i in spread(len(paths), bench.settings.limit or MOST)]
    rows: list[ProbeRow] = []
    for one, other, same in _pairs(bench):
        mine, theirs = _vectors(bench, one, paths), _vectors(bench, other, paths)
        images = sorted(mine.keys() & theirs.keys())
        if len(images) < LEAST:
            raise DataError(
                f"{len(images)} images are too few to compare by", f"give at least {LEAST}: --val D"
            )
        for first, second in _levels(one, other, same):
            x = torch.stack([mine[image][first.name] for image in images])
            y = torch.stack([theirs[image][second.name] for image in images])
            score, ends = compare(x, y)
            row = ProbeRow(
                protocol="cka",
                metric=f"CKA, {first.kind}",
                features=f"{one.name} {first.name}, {other.name} {second.name}",
                score=score,
                interval=ends,
                images=len(images),
                bad=len(paths) - len(images),
                settings={"places": PLACES if first.kind == "dense" else 1},
            )
            rows.append(row)
    return rows


def _levels(one: Side, other: Side, same: bool) -> list[tuple[Level, Level]]:
    """The levels of one name, or all pairs of one kind."""
    both = product(one.encoder.spec.levels, other.encoder.spec.levels)
    return [(a, b) for a, b in both if (a.name == b.name if same else a.kind == b.kind)]


def _pairs(bench: Bench) -> list[tuple[Side, Side, bool]]:
    """What is compared; whether only levels of one name are."""
    model, other = bench.model, bench.settings.against
    if other is not None:
        second = open_model(other, model.device.type)
        theirs = Side(second.name, second.encoder, second.sha256)
        return [(Side(model.name, bench.seen.encoder), theirs, False)]
    found: list[tuple[Side, Side, bool]] = []
    wanted = bench.seen.teacher
    for spec in (spec for spec in model.specs if wanted in (None, spec.name)):
        rivals = model.rivals(spec.name)
        if "teacher" in rivals and "student" in rivals:
            student, teacher = rivals["student"], rivals["teacher"]
            found.append((Side("stand-in", student), Side(spec.name, teacher), True))
        elif spec.name in model.absent:
            bench.note(f"{spec.name}: not compared: {model.absent[spec.name]}")
    if not found:
        raise UsageError(
            f"{model.name} has no teachers here to compare with", "another model: --against MODEL"
        )
    return found


def _vectors(bench: Bench, side: Side, paths: Sequence[Path]) -> dict[int, Mapping[str, Tensor]]:
    """Each level of each image as one vector, by image."""
    names = [level.name for level in side.encoder.spec.levels]

    def read(levels: Levels, frames: Sequence[Frame]) -> dict[str, Tensor]:
        return {f"level {name}": flattened(levels[name]) for name in names}

    store = bench.features("levels", side.encoder, paths, read, side.weights)
    tables = {name: store.table(f"level {name}") for name in names}
    rows = (dict(zip(names, own, strict=True)) for own in zip(*tables.values(), strict=True))
    return dict(zip(store.images, rows, strict=True))


def flattened(level: Tensor) -> Tensor:
    """A level as vectors `[B, D]`; a dense one is averaged to a few places."""
    level = level.float()
    return level if level.ndim == 2 else F.adaptive_avg_pool2d(level, PLACES).flatten(1)


def compare(x: Tensor, y: Tensor) -> tuple[float, tuple[float, float] | None]:
    """Linear CKA of features `[N, D]` and `[N, E]` of the same images, and its interval.

    Raises:
        DataError: If one of them is the same for all images.
    """
    one, other = _gram(x), _gram(y)
    score = float(cka(one, other, np.ones((1, len(x))))[0])
    if not isfinite(score):
        raise DataError("levels are the same for all images, or no numbers: nothing to compare")
    draws = np.concatenate([cka(one, other, c) for c in draw_images(range(len(x)), len(x))])
    return score, interval(draws, score, (-1.0, 1.0))


def _gram(x: Tensor) -> NDArray[np.float64]:
    """The products of all pairs of centered rows; those of rows with themselves are 0."""
    centered: Any = (x.double() - x.double().mean(dim=0)).numpy()
    gram = centered @ centered.T
    np.fill_diagonal(gram, 0)
    return gram


def cka(
    one: NDArray[np.float64], other: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear CKA of draws of images: `[D]`.

    Args:
        one: Gram matrix `[N, N]` of zero diagonal.
        other: That of the other features.
        counts: How often each image is in each draw, `[D, N]`.
    """
    squares = _hsic(one, one, counts) * _hsic(other, other, counts)
    root = np.sqrt(np.where(squares > 0, squares, np.nan))
    return _hsic(one, other, counts) / root


def _hsic(
    one: NDArray[np.float64], other: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The unbiased estimate; pairs of an image with itself, drawn twice, are left out."""
    n, mine, theirs = counts.sum(axis=1), counts @ one, counts @ other
    pairs = (counts @ (one * other) * counts).sum(axis=1)
    means = (mine * counts).sum(axis=1) * (theirs * counts).sum(axis=1) / ((n - 1) * (n - 2))
    mixed = 2 * (mine * theirs * counts).sum(axis=1) / (n - 2)
    return (pairs + means - mixed) / (n * (n - 3))
