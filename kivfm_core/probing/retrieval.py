"""Retrieval between images and texts: recall at 1, 5 and 10, both ways.

As CLIP does on COCO and Flickr30k (https://arxiv.org/abs/2103.00020): every text of every image is
compared with every image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kivfm_core.data.formats.pairs import PairData
from kivfm_core.errors import DataError, UsageError
from kivfm_core.evaluation.bootstrap import draw_means, interval
from kivfm_core.geometry import Frame
from kivfm_core.prediction.predict import choose
from kivfm_core.probing.bench import Bench
from kivfm_core.probing.result import ProbeRow
from kivfm_core.progress import stage
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.table import RETRIEVAL
from kivfm_core.teacher import Levels, Teacher

KS = (1, 5, 10)
# The task whose decoder compares images with texts.
TEXT_TASK = "zero-shot"
# Texts that are encoded, or images that are compared, at once.
TEXTS, IMAGES = 256, 1024


def run(bench: Bench) -> list[ProbeRow]:
    """Finds each image's texts among all, and each text's image.

    Raises:
        UsageError: If no teacher, or several, have a text tower, or it reads dense levels.
        DataError: If val has no pairs of images and texts.
    """
    spec = choose(bench.model.specs, TEXT_TASK, bench.settings.teacher)
    solver, data = bench.model.solver(spec.name), bench.labeled(RETRIEVAL, ["val"])["val"]
    if not isinstance(data, PairData):
        raise DataError(f"{bench.source('val')} has no texts of images")
    reads = _reads(spec)

    def read(levels: Levels, frames: Sequence[Frame]) -> dict[str, Tensor]:
        return {name: levels[name].float() for name in reads}

    store = bench.features("joint", solver, data.paths, read)
    levels = {name: store.table(name) for name in reads}
    texts = [data.texts[image] for image in store.images]
    scores = _compare(bench, solver, levels, [text for own in texts for text in own])
    owner = torch.tensor([place for place, own in enumerate(texts) for _ in own])
    about = {
        "protocol": "retrieval",
        "features": f"{spec.name}: {', '.join(reads)}",
        "images": len(texts),
        "bad": len(data.paths) - len(texts),
        "settings": {"texts": len(owner)},
    }
    return _rows(scores, owner, about)


def _rows(scores: Tensor, owner: Tensor, about: Mapping[str, Any]) -> list[ProbeRow]:
    """The rows of both ways; an image is drawn with all its texts."""
    images, to_text, rows = len(scores), text_ranks(scores, owner), list[ProbeRow]()
    number = torch.bincount(owner, minlength=images).double()
    for k in KS:
        hits = torch.zeros_like(number).index_add_(0, owner, (to_text < k).double())
        chance = min(1.0, k / images)
        rows.append(_row(f"text to image, recall@{k}", hits, number, chance, about))
    to_image = image_ranks(scores, owner)
    for k in KS:
        hits, chance = (to_image < k).double(), _chance(number.numpy(), k)
        one = torch.ones_like(number)
        rows.append(_row(f"image to text, recall@{k}", hits, one, chance, about))
    return rows


def _row(
    metric: str, hits: Tensor, counted: Tensor, chance: float, about: Mapping[str, Any]
) -> ProbeRow:
    """A row, from how much is found and counted of each image: `[N]`."""
    score = float(hits.sum() / counted.sum())
    ends = interval(draw_means(hits.numpy(), counted.numpy()), score)
    return ProbeRow(metric=metric, score=score, interval=ends, chance=chance, **about)


def _reads(spec: TeacherSpec) -> tuple[str, ...]:
    """The levels that the text tower compares with: one vector for each image."""
    reads = spec.task(TEXT_TASK).levels
    if any(spec.level(name).kind != "global" for name in reads):
        raise UsageError(
            f"{spec.name} compares texts with dense levels: there is no vector to search by",
            "another teacher: --teacher A",
        )
    return reads


def _compare(
    bench: Bench, solver: Teacher, levels: dict[str, Tensor], texts: Sequence[str]
) -> Tensor:
    """The decoder's scores of all images and texts: `[N, T]`."""
    tick = stage(bench.progress, "retrieval: texts")
    columns: list[Tensor] = []
    for start in range(0, len(texts), TEXTS):
        prompt = _prompt(bench, solver, texts[start : start + TEXTS])
        parts = [
            _logits(solver, {n: x[i : i + IMAGES] for n, x in levels.items()}, prompt)
            for i in range(0, len(next(iter(levels.values()))), IMAGES)
        ]
        columns.append(torch.cat(parts))
        tick(min(start + TEXTS, len(texts)), len(texts))
    return torch.cat(columns, dim=1)


def _logits(solver: Teacher, levels: dict[str, Tensor], prompt: Any) -> Tensor:
    found: Any = solver.decode(TEXT_TASK, Levels(levels, []), prompt)
    return found.logits


def _prompt(bench: Bench, solver: Teacher, texts: Sequence[str]) -> Any:
    """The texts as they are; a tower that cannot take them so puts them into its own sentences."""
    try:
        return solver.prompt(TEXT_TASK, labels=list(texts), templates=("{}",))
    except UsageError:
        bench.note(
            f"{solver.spec.name} puts every text into its sentences for names of classes: recall"
            " is not that of the texts alone"
        )
        return solver.prompt(TEXT_TASK, labels=list(texts))


def text_ranks(scores: Tensor, owner: Tensor) -> Tensor:
    """How many images score higher for each text than its own: `[T]`, from scores `[N, T]`."""
    own = scores[owner, torch.arange(len(owner))]
    return (scores > own).sum(dim=0)


def image_ranks(scores: Tensor, owner: Tensor) -> Tensor:
    """How many texts score higher for each image than the best of its own: `[N]`."""
    mine = torch.arange(len(scores))[:, None] == owner
    best = scores.masked_fill(~mine, -torch.inf).amax(dim=1, keepdim=True)
    return (scores > best).sum(dim=1)


def _chance(texts: NDArray[np.float64], k: int) -> float:
    """The mean chance that one of k texts that are drawn at random is an image's own."""
    total, missed = texts.sum(), np.ones(len(texts))
    for drawn in range(min(k, int(total))):
        missed *= np.clip(1 - texts / (total - drawn), 0, None)
    return float((1 - missed).mean())
