"""What a place of labeled images holds: formats, classes with counts, and what is passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kivfm_core.data.formats.class_maps import read_map
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.coco import VOID, CocoData
from kivfm_core.data.formats.depth import DepthData
from kivfm_core.data.formats.masks import MaskData
from kivfm_core.data.formats.pairs import PairData
from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.members import size_at
from kivfm_core.data.saving.record import NO_CLASS, SavedImage, SavedObject
from kivfm_core.data.sources import Source, formats_of
from kivfm_core.errors import DataError
from kivfm_core.reference import resolve_reference
from kivfm_core.task import LabeledImages, LabelFormat, Measured

# So many values of masks that are no class are listed.
UNKNOWN = 5


@dataclass(frozen=True)
class Contents:
    """What one format's reader finds.

    Attributes:
        format: The name of the format.
        tasks: What can be measured on it.
        images: Number of images.
        objects: Number of objects; None if the format has none.
        masks: Number of objects with a mask.
        texts: Number of texts; None if the format has none.
        counts: By the name of each class: its objects, or else the images that show it.
        notes: What was repaired or passed over, a line each.
        problem: Why it cannot be read; empty if it can.
        data: The labels; None if they cannot be read.
    """

    format: str
    tasks: tuple[str, ...]
    images: int = 0
    objects: int | None = None
    masks: int | None = None
    texts: int | None = None
    counts: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    data: LabeledImages | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it but the labels, ready for JSON."""
        return {
            "format": self.format,
            "tasks": list(self.tasks),
            "images": self.images,
            "objects": self.objects,
            "masks": self.masks,
            "texts": self.texts,
            "classes": dict(self.counts),
            "notes": list(self.notes),
            "problem": self.problem or None,
        }


def find_contents(source: Source, tasks: Iterable[Measured]) -> list[Contents]:
    """What every format that some task can be measured on finds at a place.

    Args:
        source: The place; if it names a format, only this one is looked for.
        tasks: All that can be measured.
    """
    formats: dict[str, LabelFormat] = {}
    serves: dict[str, list[Measured]] = {}
    for task in tasks:
        for kind in formats_of(task):
            if source.format in (None, kind.name):
                formats.setdefault(kind.name, kind)
                serves.setdefault(kind.name, []).append(task)
    found: list[Contents] = []
    for name, kind in formats.items():
        try:
            data: LabeledImages | None = resolve_reference(kind.read)(source.path)
            if data is not None:
                found.append(_describe(name, serves[name], data))
        except DataError as error:
            names = tuple(task.name for task in serves[name])
            found.append(Contents(name, names, problem=error.message))
    return found


def _describe(name: str, tasks: list[Measured], data: LabeledImages) -> Contents:
    objects = masks = None
    counts, notes = _counts(data), data.notes
    if isinstance(data, MaskData):
        counts, unknown = _count_values(data)
        notes = (*notes, *unknown)
    if isinstance(data, DepthData):
        notes = (*notes, _range(data))
    if isinstance(data, CocoData):
        objects = sum(map(len, data.annotations))
        masks = sum(bool(item.get("segmentation")) for items in data.annotations for item in items)
    return Contents(
        format=name,
        tasks=tuple(task.name for task in tasks if data.has_masks or not task.masks),
        images=len(data.paths),
        objects=objects,
        masks=masks,
        texts=sum(map(len, data.texts)) if isinstance(data, PairData) else None,
        counts=tuple(counts.items()),
        notes=(*notes, *_look_at_images(data)),
        data=data,
    )


def _counts(data: LabeledImages) -> dict[str, int]:
    """How often each class occurs, those that never do too; data of plugins have no counts."""
    if isinstance(data, CocoData):
        seen = Counter(item["category_id"] for items in data.annotations for item in items)
        return {name: seen[id] for id, name in data.names.items()}
    if isinstance(data, ClassData):
        targets = Counter(data.targets)
        names = enumerate(data.classes) if data.classes else ((i, str(i)) for i in sorted(targets))
        return {name: targets[place] for place, name in names}
    return {}


def _count_values(data: MaskData) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many images show each class, and what is said of values that are no class."""
    shown = Counter[int]()
    for file in data.masks:
        shown.update(np.unique(read_map(file, colors=data.colors)).tolist())
    known = data.values or range(len(data.classes))
    counts = {name: shown[value] for name, value in zip(data.classes, known, strict=True)}
    unknown = [(value, count) for value, count in shown.most_common() if value not in known]
    if not unknown:
        return counts, ()
    what = "colors" if data.colors else "values"
    listed = ", ".join(
        f"{_rgb(value) if data.colors else value} in {count}" for value, count in unknown[:UNKNOWN]
    )
    more = f", and {len(unknown) - UNKNOWN} more" if len(unknown) > UNKNOWN else ""
    return counts, (f"{what} of masks that are no class, and do not count: {listed}{more}",)


def _range(data: DepthData) -> str:
    """The nearest and farthest distance in all maps, and the share of pixels that were measured."""
    pixels = measured = 0
    near, far = float("inf"), 0.0
    for index in range(len(data.paths)):
        meters = data.depth(index)
        known = meters[meters > 0]
        pixels, measured = pixels + meters.size, measured + known.size
        near, far = min(near, known.min(initial=near)), max(far, known.max(initial=far))
    if not measured:
        return "depth: measured nowhere; zero and what is below it does not count"
    return f"depth: {near:.3g} to {far:.3g} m, measured at {measured / pixels:.1%} of the pixels"


def _rgb(value: int) -> list[int]:
    return [value >> 16, value >> 8 & 255, value & 255]


def _look_at_images(data: LabeledImages) -> tuple[str, ...]:
    """Counts images that are not there, and ones of another size than their labels."""
    notes = ReadingNotes()
    for index, path in enumerate(data.paths):
        try:
            width, height = size_at(path)
        except DataError:
            notes.add("images that cannot be opened", path.name)
            continue
        if data.size(index) not in (None, (height, width)):
            notes.add("images of another size than their labels", path.name)
    return notes.lines()


def labels_of(data: LabeledImages, index: int) -> SavedImage | None:
    """The labels of one image, as they can be saved; None for data of plugins.

    Labels are indices into the data's `classes`.

    Raises:
        DataError: If the image or its mask cannot be opened.
    """
    path = data.paths[index]
    width, height = size_at(path)
    if isinstance(data, ClassData):
        return SavedImage(path.name, width, height, label=data.targets[index], source=path)
    if isinstance(data, PairData | DepthData):  # what else they have is no label to save
        return SavedImage(path.name, width, height, source=path)
    if isinstance(data, MaskData):
        values = data.semantic(index, data.classes)
        class_map = np.where(values == VOID, NO_CLASS, values)
        return SavedImage(path.name, width, height, class_map=class_map, source=path)
    if isinstance(data, CocoData):
        places = {id: place for place, id in enumerate(data.names)}
        objects = tuple(
            _object(data, index, item, places[item["category_id"]])
            for item in data.annotations[index]
        )
        return SavedImage(path.name, width, height, objects, source=path)
    return None


def _object(data: CocoData, index: int, item: dict[str, Any], label: int) -> SavedObject:
    x, y, w, h = item["bbox"]
    mask = data.mask(index, item) if item.get("segmentation") else None
    return SavedObject(label, (x, y, x + w, y + h), item.get("score"), mask)
