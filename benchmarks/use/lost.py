"""What a student's tasks lose where all stand-ins share one canvas, with intervals."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import stdev
from typing import Any

from kivfm_core.data.batches import batches
from kivfm_core.data.label_spaces import label_names
from kivfm_core.errors import DataError
from kivfm_core.evaluation.worklist import Item, list_work
from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.run import open_run
from kivfm_core.spec import InputContract
from kivfm_core.student.shared_stand_in import SharedStandIn, shared_input
from kivfm_core.student.stand_in import StandIn
from kivfm_core.task import Meter

# Of the bootstrap.
DRAWS = 2000
# An image's predictions and frame, by its index.
Found = dict[int, tuple[Predictions, Frame]]


def measure_lost(folder: Path, data: str, blocks: int) -> dict[str, Any]:
    """A row for each teacher and task of a run's student.

    Intervals are those of a paired bootstrap: it draws blocks of images, and compares the means of
    the blocks' scores on both canvases.

    Args:
        folder: The run.
        data: What is measured on.
        blocks: How many there are.
    """
    run = open_run(folder)
    student, contract = run.load_student(), shared_input(run.composition)
    work = list_work(run.teachers, [data], None, None)
    rows: list[dict[str, Any]] = []
    images = 0
    for spec in run.teachers:
        models: list[tuple[StandIn, InputContract | None]] = [
            (student.stand_in(spec.name), None),
            (SharedStandIn(student, spec.name, contract), spec.input),
        ]
        for item in work.teachers[spec.name]:
            found = [_predict(model, item, other) for model, other in models]
            whole = [_score(models[0][0], item, one, [*one]) for one in found]
            rows.append(
                {
                    "teacher": spec.name,
                    "task": item.task,
                    "own": whole[0],
                    "shared": whole[1],
                    **_interval(models[0][0], item, found, whole, blocks),
                }
            )
            images = max(images, len(found[0]))
            print(rows[-1], flush=True)
    config = run.config
    about = {"run": folder.name, "steps": config.optim.steps, "seed": config.seed}
    return {**about, "canvas": contract.size, "images": images, "blocks": blocks, "rows": rows}


def _predict(model: StandIn, item: Item, other: InputContract | None) -> Found:
    """What is found in each image, an image at a time."""
    found: Found = {}
    meter = _meter(model, item)
    for batch in batches(item.data.paths, model.spec.input, other=other):
        for place, index in enumerate(batch.indices):
            part = slice(place, place + 1)
            levels = model.encode(batch.images[part], batch.frames[part])
            prompt = meter.prompt(model, [index], levels.frames)
            found[index] = model.decode(item.task, levels, prompt), levels.frames[0]
    return found


def _meter(model: StandIn, item: Item) -> Meter:
    classes = label_names(model.spec.task(item.task).labels)
    return resolve_reference(find_task(item.task).meter)(item.data, classes)


def _score(model: StandIn, item: Item, found: Found, indices: Sequence[int]) -> float:
    meter = _meter(model, item)
    for index in indices:
        predictions, frame = found[index]
        meter.update(predictions, [index], [frame])
    return meter.compute()


def _interval(
    model: StandIn, item: Item, found: Sequence[Found], whole: Sequence[float], blocks: int
) -> Mapping[str, float]:
    """The share of the own canvas's score that is lost, and its 95 % interval."""
    indices, pairs = sorted(found[0]), list[tuple[float, ...]]()
    random.Random(0).shuffle(indices)
    for number in range(blocks):
        with suppress(DataError):  # a block without any object
            block = indices[number::blocks]
            pairs.append(tuple(_score(model, item, one, block) for one in found))
    draw, lost = random.Random(1), 1 - whole[1] / whole[0]
    drawn = (draw.choices(pairs, k=len(pairs)) for _ in range(DRAWS))
    values = [
        1 - sum(shared) / sum(own) for own, shared in (zip(*few, strict=True) for few in drawn)
    ]
    error = 1.96 * stdev(values)
    return {"lost": lost, "low": lost - error, "high": lost + error}
