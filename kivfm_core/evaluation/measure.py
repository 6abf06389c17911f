"""Measures models that take the same canvases on the same images, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kivfm_core.data.batches import Batch, Tick, batches
from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import DataError
from kivfm_core.evaluation.bootstrap import Draws, resample
from kivfm_core.predictions import Predictions
from kivfm_core.processes.team import ONE_PROCESS, Team
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
    return measure_together([Entry(models, tasks, meters or {}, empty)], tick, other, draws)[0]


@dataclass(frozen=True)
class Entry:
    """Models that are measured on the same tasks, as `measure` takes them.

    Attributes:
        models: A teacher, and its stand-ins.
        tasks: The data of each task, or of each of `meters`.
        meters: What is measured by other meters than the tasks' own.
        empty: Takes the tasks that have nothing to count; None if this is an error.
    """

    models: Sequence[Teacher]
    tasks: Mapping[str, LabeledImages]
    meters: Mapping[str, Other] = field(default_factory=dict[str, Other])
    empty: dict[str, DataError] | None = None


def measure_together(
    entries: Sequence[Entry],
    tick: Tick | None = None,
    other: InputContract | None = None,
    draws: bool = False,
    team: Team = ONE_PROCESS,
) -> list[dict[str, Score]]:
    """Measures several entries batch by batch, so that stand-ins can share what a student sees.

    Args:
        entries: All over the same images, all of one `canvas_kind`.
        tick: Called with (images done, images in all).
        other: As `measure` takes it.
        draws: Whether images are drawn anew, for intervals.
        team: Processes that share the images; all call this, and get the scores of all images.

    Returns:
        The scores of each entry, by task.

    Raises:
        DataError: If the images or their labels cannot be used.
    """
    started = [[_start_meters(model, entry) for model in entry.models] for entry in entries]
    paths = next(iter(entries[0].tasks.values())).paths
    _meet(team, started, [])  # a meter that cannot is refused before anything runs
    seen: list[int] = []
    only = team.share(len(paths)) if team.world > 1 else None
    for batch in batches(paths, entries[0].models[0].spec.input, tick, other=other, only=only):
        for labels in (labels for entry in entries for labels in entry.tasks.values()):
            _check_sizes(labels, batch)
        seen += batch.indices
        for entry, meters in zip(entries, started, strict=True):
            for model, own in zip(entry.models, meters, strict=True):
                update_meters(model, own, batch, entry.meters)
    seen = _meet(team, started, seen)
    if not seen:
        raise DataError(f"none of {len(paths)} images can be decoded")
    pairs = zip(entries, started, strict=True)
    return [_scores(entry, meters, seen, len(paths), draws) for entry, meters in pairs]


def _meet(
    team: Team, started: Sequence[Sequence[Mapping[str, Meter]]], images: list[int]
) -> list[int]:
    """Gives the meters of each process what those of the others have seen.

    Args:
        team: The processes; all have to call this.
        started: Of each entry and model the meters by task.
        images: Those that this process saw.

    Returns:
        The images that any process saw.
    """
    if team.world == 1:
        return images
    meters = [meter for entry in started for own in entry for meter in own.values()]
    told = team.gather((images, [meter.seen() for meter in meters]))
    for rank, (_, states) in enumerate(told):
        if rank != team.rank:
            for meter, state in zip(meters, states, strict=True):
                meter.absorb(state)
    return [index for own, _ in told for index in own]


def canvas_kind(contract: InputContract) -> str:
    """Equal for contracts that give equal canvases of any image.

    Encoders normalize them in their own ways, and some fields mean nothing under some policies.
    """
    unused = {"channel_order", "scale", "mean", "std", "train_sizes"}
    if contract.policy != "short-side":
        unused |= {"multiple", "max_size"}
    if contract.policy != "short-side-crop":
        unused |= {"resize", "crop_rounding"}
    if contract.policy in ("stretch", "short-side-crop"):
        unused |= {"pad_value"}  # there is no padding
    whole = contract.model_copy(update={"resize": contract.resize or contract.size})
    return whole.model_dump_json(exclude=unused)


def _scores(
    entry: Entry,
    started: Sequence[Mapping[str, Meter]],
    seen: Sequence[int],
    size: int,
    draws: bool,
) -> dict[str, Score]:
    """The scores of an entry's tasks, from the meters of each of its models."""
    scores: dict[str, Score] = {}
    for task in entry.tasks:
        try:
            scores[task] = _score([own[task] for own in started], seen, size, draws)
        except DataError as error:
            if entry.empty is None:
                raise
            entry.empty[task] = error
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


def _start_meters(model: Teacher, entry: Entry) -> dict[str, Meter]:
    """A meter for each of an entry's tasks."""
    started: dict[str, Meter] = {}
    for name, data in entry.tasks.items():
        other = entry.meters.get(name)
        task = other.task if other else name
        kind = other.meter if other else resolve_reference(find_task(task).meter)
        started[name] = kind(data, label_names(model.spec.task(task).labels))
    return started


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
