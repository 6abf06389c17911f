"""Measures models of one input contract on the same images, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kivfm_core.data.batches import Batch, Tick, batches
from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import DataError
from kivfm_core.evaluation.bootstrap import Draws, resample
from kivfm_core.predictions import Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.spec import InputContract
from kivfm_core.task import Chance, LabeledImages, Meter
from kivfm_core.teacher import Teacher

# From the data of a task and a teacher's classes to what measures it.
MeterKind = Callable[[Any, tuple[str, ...] | None], Meter]


class Other(NamedTuple):
    """Something that is measured of a task by another meter than its own.

    Attributes:
        task: The task.
        meter: The meter.
    """

    task: str
    meter: MeterKind


_NONE: Mapping[str, Other] = {}


@dataclass(frozen=True)
class Score:
    """One score a model.

    Attributes:
        values: In 0..1.
        images: How many were measured.
        bad: How many were skipped, since they cannot be decoded.
        objects: How many objects were counted; None where images are.
        chance: What is scored by chance; None if that has no meaning.
        notes: What a reader should know of the labels, a line each.
        draws: The scores of draws of the images, the same for all models; empty if none were made,
            None for a model's meter that does not know.
    """

    values: list[float]
    images: int
    bad: int
    objects: int | None = None
    chance: Chance | None = None
    notes: tuple[str, ...] = ()
    draws: Sequence[Draws | None] = field(default_factory=list[Draws | None])


def measure(
    models: Sequence[Teacher],
    tasks: Mapping[str, LabeledImages],
    tick: Tick | None = None,
    empty: dict[str, DataError] | None = None,
    other: InputContract | None = None,
    draws: bool = False,
    meters: Mapping[str, Other] | None = None,
) -> dict[str, Score]:
    """Measures every model on every task; each image is decoded once, encoded once a model.

    Args:
        models: A teacher, and its stand-ins; all get the same canvases.
        tasks: The data of each task, all over the same images; also by other names, if `meters`
            has these.
        tick: Called with (images done, images in all).
        empty: Takes the tasks that have nothing to count, with the reason; else this is an error.
        other: How the models' decoders see the images, if that is not how their encoders do.
        draws: Whether images are drawn anew, for intervals.
        meters: What is measured by other meters than the tasks' own.

    Raises:
        DataError: If the images or their labels cannot be used.
    """
    spec, others = models[0].spec, meters or {}
    started = [
        {name: _start_meter(model, name, data, others) for name, data in tasks.items()}
        for model in models
    ]
    data = next(iter(tasks.values()))
    seen: list[int] = []
    for batch in batches(data.paths, spec.input, tick, other=other):
        for labels in tasks.values():
            _check_sizes(labels, batch)
        seen += batch.indices
        for model, own in zip(models, started, strict=True):
            update_meters(model, own, batch, others)
    size, scores = len(data.paths), dict[str, Score]()
    for task in tasks:
        try:
            scores[task] = _score([own[task] for own in started], seen, size, draws)
        except DataError as error:
            if empty is None:
                raise
            empty[task] = error
    return scores


def _score(meters: Sequence[Meter], seen: Sequence[int], size: int, draws: bool) -> Score:
    """What the models' meters of one task have measured on the images that were seen."""
    first, values = meters[0], [meter.compute() for meter in meters]
    return Score(
        values,
        len(seen),
        size - len(seen),
        first.objects(),
        first.chance(),
        first.notes(),
        resample(meters, seen, size) if draws else [],
    )


def _start_meter(
    model: Teacher, name: str, data: LabeledImages, others: Mapping[str, Other]
) -> Meter:
    other = others.get(name)
    task = other.task if other else name
    kind = other.meter if other else resolve_reference(find_task(task).meter)
    return kind(data, label_names(model.spec.task(task).labels))


def update_meters(
    model: Teacher, meters: Mapping[str, Meter], batch: Batch, others: Mapping[str, Other] = _NONE
) -> None:
    """Computes a batch's predictions of every task, and gives them to the tasks' meters.

    Args:
        model: The model.
        meters: By task, or by a name that `others` has.
        batch: The images.
        others: The tasks of other names.
    """
    levels = model.encode(batch.images, batch.frames)
    # Tasks of one decoder, such as Mask R-CNN's two, share its predictions: by decoder and levels.
    known: dict[Any, Predictions] = {}
    for name, meter in meters.items():
        task = others[name].task if name in others else name
        # Decoders work in the pixels of the levels' canvases, which a stand-in may choose.
        prompt = meter.prompt(model, batch.indices, levels.frames)
        key = (model.spec.task(task).part, model.spec.task(task).levels)
        predictions = known.get(key) if prompt is None else None
        if predictions is None:
            predictions = model.decode(task, levels, prompt)
        # A prompt's predictions are those of one task.
        if prompt is None:
            known[key] = predictions
        meter.update(predictions, batch.indices, levels.frames)


def _check_sizes(data: LabeledImages, batch: Batch) -> None:
    """Raises a `DataError` if labels are for an image of another size."""
    for index, frame in zip(batch.indices, batch.frames, strict=True):
        size = data.size(index)
        if size is not None and frame.original != size:
            raise DataError(
                f"{data.paths[index]} has {frame.original} pixels (height, width), but its labels"
                f" are for {size}"
            )
