"""Images with classes for linear probes: vectors, targets, and a part of train that is held out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.label_spaces import match
from kivfm_core.errors import DataError
from kivfm_core.evaluation.bootstrap import draw_means, interval
from kivfm_core.probing.bench import Bench, Part, reading
from kivfm_core.probing.result import ProbeRow

# One image of so many is held out of train, to choose settings.
HELD_OUT = 10


class Vectors(NamedTuple):
    """Features of N images with classes.

    Attributes:
        vector: `[N, D]`, the model's vector for an image.
        mean: `[N, C]`, its dense map's mean; None if it has no dense map beside the vector.
        targets: `[N]`, indices into the classes of train; -1 for a class that train lacks.
        bad: How many images cannot be decoded.
    """

    vector: Tensor
    mean: Tensor | None
    targets: Tensor
    bad: int


class Split(NamedTuple):
    """What a classifier learns from, and what it is scored on.

    Attributes:
        train: Images to learn from.
        val: Images to score.
        classes: How many classes train has.
        level: Name of the level that is the vector.
        dense: Name of the level that is averaged; None if none is.
    """

    train: Vectors
    val: Vectors
    classes: int
    level: str
    dense: str | None

    def row(self, protocol: str, metric: str, features: str, right: Tensor) -> ProbeRow:
        """The row of a classifier, from whether each image of val is right: `[N]`."""
        hits = right.double().cpu()
        score = float(hits.mean())
        return ProbeRow(
            protocol=protocol,
            metric=metric,
            features=features,
            score=score,
            interval=interval(draw_means(hits.numpy()), score),
            chance=1 / self.classes,
            train_images=len(self.train.targets),
            images=len(self.val.targets),
            bad=self.train.bad + self.val.bad,
        )


def read_split(bench: Bench) -> Split:
    """Features and classes of both sources, read once for all protocols.

    Raises:
        DataError: If they have no class in common.
    """
    if "split" not in bench.known:
        bench.known["split"] = _read_both(bench)
    return bench.known["split"]


def _read_both(bench: Bench) -> Split:
    data, level = bench.classes, bench.seen.level
    dense = bench.dense_level if bench.dense_level != level else None
    targets = {part: torch.tensor(own.targets) for part, own in data.items()}
    targets["val"] = _in_classes_of(data["train"], data["val"])
    known, targets["train"] = targets["train"].unique(return_inverse=True)
    place = torch.searchsorted(known, targets["val"]).clamp(max=len(known) - 1)
    lacks = known[place] != targets["val"]
    targets["val"] = torch.where(lacks, -1, place)
    if lacks.all():
        raise DataError(
            f"{bench.source('train')} and {bench.source('val')} have no class in common",
            "give sources of the same classes",
        )
    if number := int(lacks.sum()):
        bench.note(f"{number} images of val have classes that train lacks: they count as wrong")
    both = {part: _read(bench, part, dense, targets[part]) for part in data}
    return Split(both["train"], both["val"], len(known), level, dense)


def _in_classes_of(train: ClassData, val: ClassData) -> Tensor:
    """The targets of val as those of train; what train has no name for gets an index of no use."""
    if train.classes is None and val.classes is None:
        return torch.tensor(val.targets)
    if train.classes is None or val.classes is None:
        raise DataError(
            "one of train and val has names of classes, the other numbers", "give both one form"
        )
    where = match(val.classes, train.classes)
    none = len(train.classes)
    return torch.tensor([none if (i := where[t]) is None else i for t in val.targets])


def _read(bench: Bench, part: Part, dense: str | None, targets: Tensor) -> Vectors:
    names = {"vector": bench.seen.level, **({"mean": dense} if dense else {})}
    paths = bench.classes[part].paths
    store = bench.features("vectors", bench.seen.encoder, paths, reading(names))
    mean = store.table("mean") if dense else None
    bad = len(paths) - len(store.images)
    return Vectors(store.table("vector"), mean, targets[store.images], bad)


def hold_out(targets: Tensor) -> Tensor:
    """Which images are held out of train: `[N]`, evenly spread over each class.

    A tenth of each class, and at least one image of a class that has two.

    Raises:
        DataError: If no class has two images.
    """
    held = torch.zeros(len(targets), dtype=torch.bool)
    for index in range(int(targets.max()) + 1):
        own = (targets == index).nonzero()[:, 0]
        number = max(len(own) // HELD_OUT, 1 if len(own) > 1 else 0)
        places = torch.arange(number) * len(own) // max(number, 1)
        held[own[places]] = True
    if not held.any():
        raise DataError(
            "no class of train has two images, so none can be held out to choose settings",
            "give more images: --train D",
        )
    return held
