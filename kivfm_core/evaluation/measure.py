"""Measures models of one input contract on the same pictures, in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.data.label_spaces import label_names
from kivfm_core.data.sources import Data
from kivfm_core.errors import DataError
from kivfm_core.evaluation.batches import Batch, Tick, batches
from kivfm_core.predictions import Predictions
from kivfm_core.tasks.meter import Meter
from kivfm_core.tasks.table import MEASURES
from kivfm_core.teacher import Teacher


@dataclass(frozen=True)
class Score:
    """One score a model.

    Attributes:
        values: In 0..1.
        pictures: How many were measured.
        bad: How many were skipped, since they cannot be decoded.
    """

    values: list[float]
    pictures: int
    bad: int


def measure(
    models: Sequence[Teacher], tasks: Mapping[str, Data], tick: Tick | None = None
) -> dict[str, Score]:
    """Measures every model on every task; each picture is decoded once, encoded once a model.

    Args:
        models: A teacher, and its stand-ins; all get the same canvases.
        tasks: The tasks' data, all over the same pictures.
        tick: Told how far it is.

    Raises:
        DataError: If the pictures or their labels cannot be used.
    """
    spec = models[0].spec
    spaces = {task: label_names(spec.task(task).labels) for task in tasks}
    meters = [
        {task: MEASURES[task].start(data, spaces[task]) for task, data in tasks.items()}
        for _ in models
    ]
    data = next(iter(tasks.values()))
    pictures = 0
    for batch in batches(data.paths, spec.input, tick):
        if isinstance(data, CocoData):
            _check_sizes(data, batch)
        pictures += len(batch.indices)
        for model, own in zip(models, meters, strict=True):
            _update(model, own, batch)
    bad = len(data.paths) - pictures
    return {task: Score([own[task].compute() for own in meters], pictures, bad) for task in tasks}


def _update(model: Teacher, meters: Mapping[str, Meter], batch: Batch) -> None:
    levels = model.encode(batch.images, batch.frames)
    # Tasks of one decoder, such as Mask R-CNN's two, share its predictions.
    known: dict[Any, Predictions] = {}
    for task, meter in meters.items():
        prompt = meter.prompt(model, batch.indices, batch.frames)
        known_as = (model.spec.task(task).part, model.spec.task(task).levels)
        predictions = known.get(known_as) if prompt is None else None
        if predictions is None:
            predictions = model.decode(task, levels, prompt)
        if prompt is None:
            known[known_as] = predictions
        meter.update(predictions, batch.indices, batch.frames)


def _check_sizes(data: CocoData, batch: Batch) -> None:
    for index, frame in zip(batch.indices, batch.frames, strict=True):
        if frame.original != data.size(index):
            raise DataError(
                f"{data.paths[index]} has {frame.original} pixels (height, width), but its labels"
                f" are for {data.size(index)}"
            )
