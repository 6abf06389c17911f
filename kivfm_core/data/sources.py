"""Sources of labeled pictures: `[TASK=][FORMAT:]PATH`, and what each task finds in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from kivfm_core.data.formats.classes import ClassData, read_folder, read_labels
from kivfm_core.data.formats.coco import CocoData, read_coco
from kivfm_core.data.formats.masks import MaskData, read_masks
from kivfm_core.errors import DataError, UsageError
from kivfm_core.spec import Task

KNN = "knn"
"""k-NN on a global feature: measured like a task, though no teacher declares it."""

Data = ClassData | CocoData | MaskData
Reader = Callable[[Path], Data | None]

READERS: dict[str, Reader] = {
    "labels": read_labels,
    "folder": read_folder,
    "masks": read_masks,
    "coco": read_coco,
}
"""The formats; a reader returns None for a path that is not in its format."""

FORMATS: dict[str, tuple[str, ...]] = {
    "classification": ("labels", "folder"),
    "zero-shot": ("labels", "folder"),
    KNN: ("labels", "folder"),
    "detection": ("coco",),
    "instance-segmentation": ("coco",),
    "promptable-segmentation": ("coco",),
    "semantic-segmentation": ("masks", "coco"),
}
"""The formats that each task can be measured on, the best first."""

NEEDS = {
    "labels": "labels.json ({file name: class}) beside the pictures",
    "folder": "a folder of pictures for each class, or classes/ with these",
    "masks": "semantic/*.png and semantic/classes.json beside images/",
    "coco": "instances.json (COCO) beside images/",
}


@dataclass(frozen=True)
class Source:
    """A place of labeled pictures.

    Attributes:
        path: A folder or file.
        format: One of `FORMATS`; None to recognize it.
    """

    path: Path
    format: str | None = None

    def __str__(self) -> str:
        return f"{self.format}:{self.path}" if self.format else str(self.path)


def parse_source(text: str) -> Source:
    """Reads `[FORMAT:]PATH`.

    Raises:
        DataError: If there is no such path.
    """
    head, colon, rest = text.partition(":")
    source = Source(Path(rest), head) if colon and head in READERS else Source(Path(text))
    if not source.path.exists():
        raise DataError(f"no such data: {source.path}", "give a folder that exists")
    return source


def parse_data(data: Sequence[str]) -> dict[str, list[Source]]:
    """Reads `--data SOURCE` and `--data TASK=SOURCE`.

    Returns:
        The sources of each task that got its own, and under `""` those for all others.

    Raises:
        UsageError: If a task is unknown.
        DataError: If there is no such path.
    """
    tasks = (*get_args(Task), KNN)
    sources: dict[str, list[Source]] = {}
    for text in data:
        task, equals, rest = text.partition("=")
        if not equals or (task not in tasks and Path(text).exists()):
            task, rest = "", text
        elif task not in tasks:
            raise UsageError(f"unknown task {task!r} in {text!r}", f"tasks: {', '.join(tasks)}")
        sources.setdefault(task, []).append(parse_source(rest))
    return sources


def find_data(source: Source, task: str) -> Data | None:
    """What a source holds for a task, or None if there is nothing."""
    formats = [source.format] if source.format else FORMATS[task]
    for name in formats:
        found = READERS[name](source.path) if name in FORMATS[task] else None
        boxes_only = isinstance(found, CocoData) and not found.has_masks
        if found is not None and not (boxes_only and task != "detection"):
            return found
    return None


def load_data(source: Source, task: str, limit: int | None = None) -> Data:
    """What a source holds for a task.

    Args:
        source: Where to look.
        task: What will be measured.
        limit: Take at most so many pictures, evenly spread.

    Raises:
        DataError: If there is nothing; says what was looked for.
    """
    found = find_data(source, task)
    if found is None or not found.paths:
        wanted = "; or ".join(NEEDS[name] for name in FORMATS[task])
        masks = (
            ""
            if task not in ("instance-segmentation", "promptable-segmentation")
            else (", with masks")
        )
        raise DataError(
            f"{source} has nothing for {task}: looked for {wanted}{masks}",
            f"give another source: --data {task}=PATH",
        )
    return found.take(limit)
