"""A teacher and its stand-in on the same images: measured on all, drawn on those that tell most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as codec
from PIL import Image

from kivfm_core.data.batches import Tick, batches
from kivfm_core.data.label_spaces import label_names
from kivfm_core.data.members import open_at
from kivfm_core.errors import DataError
from kivfm_core.evaluation.agreement.own_labels import OwnClicks
from kivfm_core.evaluation.agreement.truths import TRUTHS, Truth
from kivfm_core.evaluation.measure import Other, update_meters
from kivfm_core.prediction.predict import predict
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.reporting.figures.seen import Seen, Watched
from kivfm_core.reporting.gallery import Comparison, Figure, Pair
from kivfm_core.task import LabeledImages, Meter
from kivfm_core.teacher import Teacher

# So many images are drawn where teacher and stand-in agree least, and where most.
WORST, BEST = 2, 2
# So many clicks are drawn on an image, and their masks are at most as alike as this IoU.
CLICKS, ALIKE = 3, 0.3
# A mask of more than this share of an image is background.
LARGE = 0.4
# So many of the things found are said in words.
SAID = 5
# The longer side of a drawing on the page, in CSS pixels.
SIDE = 320


@dataclass(frozen=True)
class Images:
    """The images that networks are run on.

    Attributes:
        paths: Their files, which may lie in tars.
        names: What they are called on the page.
        labels: The classes of zero-shot.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...] = ()


def compare(
    teacher: Teacher, student: Teacher, images: Images, seen: Seen, tick: Tick, notes: list[str]
) -> list[Comparison]:
    """Compares a teacher with its stand-in, task by task.

    Args:
        teacher: The teacher.
        student: Its stand-in.
        images: What they are run on.
        seen: Takes the teacher's levels.
        tick: Called with (images done, images in all).
        notes: Takes what cannot be compared, a sentence each.
    """
    truths = _truths(teacher, images, notes)
    watched = Watched(teacher)
    for batch in batches(images.paths, teacher.spec.input, tick):
        update_meters(watched, truths, batch)
        assert watched.levels is not None
        seen.add(batch.indices, watched.levels)
    measured = {task: truth.measures()[-1] for task, truth in truths.items()}
    others = {task: Other(task, m.meter) for task, m in measured.items() if m.meter}
    meters = {
        task: (measure.meter or resolve_reference(find_task(task).meter))(
            measure.data, label_names(teacher.spec.task(task).labels)
        )
        for task, measure in measured.items()
    }
    for batch in batches(images.paths, teacher.spec.input) if meters else ():
        update_meters(student, meters, batch, others)
    found: list[Comparison] = []
    for task, meter in meters.items():
        metric = measured[task].metric or find_task(task).metric
        try:
            one = Comparison(teacher.spec.name, task, metric, *_scores(meter, images))
        except DataError as error:
            notes.append(f"{teacher.spec.name}, {task}: {error.message}.")
            continue
        found.append(_drawn(one, (teacher, student), images, measured[task].data))
    return found


def _truths(teacher: Teacher, images: Images, notes: list[str]) -> dict[str, Truth]:
    """What takes the teacher's predictions of each task as labels."""
    truths: dict[str, Truth] = {}
    for spec in teacher.spec.tasks:
        if spec.task not in TRUTHS:
            notes.append(f"{teacher.spec.name}, {spec.task}: no agreement is defined for it.")
        elif spec.task == "zero-shot" and not images.labels:
            notes.append(f"{teacher.spec.name}, zero-shot: it needs classes, --labels A,B.")
        else:
            classes = label_names(spec.labels)
            truths[spec.task] = TRUTHS[spec.task](images.paths, classes, images.labels)
    return truths


def _scores(meter: Meter, images: Images) -> tuple[float, dict[str, float]]:
    """The score of all images, and of each in which there is something to measure."""
    whole = meter.compute()
    # A draw of one image alone is that image's score.
    each = meter.resample(np.eye(len(images.paths)))
    pairs = zip(images.names, each if each is not None else (), strict=False)
    return whole, {name: float(score) for name, score in pairs if np.isfinite(score)}


def _drawn(
    one: Comparison, models: tuple[Teacher, Teacher], images: Images, truth: LabeledImages
) -> Comparison:
    """The comparison with drawings of the images that agree least and most."""
    order = sorted(one.scores, key=lambda name: one.scores[name])
    worst = order[: min(WORST, -(-len(order) // 2))]
    best = [name for name in reversed(order) if name not in worst][:BEST]
    pairs = {name: _pair(name, one, models, images, truth) for name in (*worst, *best)}
    return replace(one, worst=[pairs[n] for n in worst], best=[pairs[n] for n in best])


def _pair(
    name: str,
    one: Comparison,
    models: tuple[Teacher, Teacher],
    images: Images,
    truth: LabeledImages,
) -> Pair:
    index = images.names.index(name)
    given: dict[str, Any] = {}
    if isinstance(truth, OwnClicks):
        given["points"] = _clicks(truth.clicks[index])
    if one.task == "zero-shot":
        given["labels"] = images.labels
    image = open_at(images.paths[index])
    drawn = [
        _draw(model, image, one.task, given, f"What {who} finds in {name}")
        for model, who in zip(models, (one.teacher, "the student"), strict=True)
    ]
    return Pair(name, one.scores[name], *drawn)


def _draw(
    model: Teacher, image: Image.Image, task: str, given: Mapping[str, Any], what: str
) -> Figure:
    """What a model finds, drawn by the code of `kivfm predict`."""
    found = predict(model, image, task, **given)
    # Where an object is can be seen.
    lines = [" ".join(line.split("  box ")[0].split()) for line in found.lines()]
    more = f"; {len(lines) - SAID} more" if len(lines) > SAID else ""
    return Figure(found.draw(), what, SIDE, "; ".join(lines[:SAID]) + more)


def _clicks(found: Sequence[tuple[tuple[float, float], Any]]) -> list[tuple[float, float]]:
    """A few clicks of different things, the largest of those that are no background first."""

    def rank(pair: tuple[tuple[float, float], Any]) -> tuple[bool, float]:
        area, (height, width) = float(codec.area(pair[1])), pair[1]["size"]
        return area > LARGE * height * width, -area

    chosen: list[tuple[tuple[float, float], Any]] = []
    for point, mask in sorted(found, key=rank):
        taken = [other for _, other in chosen]
        if not taken or np.max(codec.iou([mask], taken, [0] * len(taken))) <= ALIKE:
            chosen.append((point, mask))
    return [point for point, _ in chosen[:CLICKS]]
