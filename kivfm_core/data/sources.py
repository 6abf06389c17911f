"""Sources of labeled images: `[TASK=][FORMAT:]PATH`, and what a task finds in them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.data.formats.table import FORMATS
from kivfm_core.data.remote.url import refuse_url
from kivfm_core.errors import DataError, PluginError, UsageError, did_you_mean, printable
from kivfm_core.reference import resolve_reference
from kivfm_core.task import LabeledImages, LabelFormat, Measured


@dataclass(frozen=True)
class Source:
    """A place of labeled images.

    Attributes:
        path: A folder or file.
        format: The name of its format; None to recognize it.
    """

    path: Path
    format: str | None = None

    def __str__(self) -> str:
        return f"{self.format}:{self.path}" if self.format else str(self.path)


def formats_of(task: Measured) -> tuple[LabelFormat, ...]:
    """The formats that a task can be measured on, the best first.

    Raises:
        PluginError: If the task's record names a format that kivfm does not have.
    """
    unknown = [name for name in task.formats if isinstance(name, str) and name not in FORMATS]
    if unknown:
        raise PluginError(
            f"the task {task.name} names the label format {unknown[0]!r}, which is none of kivfm's",
            f"name one of {', '.join(FORMATS)}, or put a LabelFormat in its place",
        )
    return tuple(FORMATS[kind] if isinstance(kind, str) else kind for kind in task.formats)


def parse_source(text: str, formats: Collection[str] = FORMATS.keys()) -> Source:
    """Reads `[FORMAT:]PATH`.

    Args:
        text: As a user gives it.
        formats: The names of the formats that there are; a path may hold a colon of its own.

    Raises:
        DataError: If there is no such path.
        UsageError: If it is a URL: labels are read from disks.
    """
    head, colon, rest = text.partition(":")
    named = bool(colon) and head in formats
    # The shell sees no `~` after `TASK=` or `FORMAT:`.
    place = rest if named else text
    refuse_url(
        place,
        "labels are read from a folder on a disk",
        "copy it here; or, without labels: kivfm evaluate RUN --agreement --data URL",
    )
    path = Path(os.path.expanduser(place))
    source = Source(path, head if named else None)
    if not place or not source.path.exists():
        raise DataError(
            f"no such data: {printable(path if place else repr(text))}", "give a folder that exists"
        )
    return source


def parse_data(data: Sequence[str], tasks: Mapping[str, Measured]) -> dict[str, list[Source]]:
    """Reads `--data SOURCE` and `--data TASK=SOURCE`.

    Args:
        data: As a user gives them.
        tasks: All that can be measured, by name.

    Returns:
        The sources of each task that got its own, and under `""` those for all others.

    Raises:
        UsageError: If a task is unknown.
        DataError: If there is no such path.
    """
    formats = {kind.name for task in tasks.values() for kind in formats_of(task)}
    sources: dict[str, list[Source]] = {}
    for text in data:
        task, equals, rest = text.partition("=")
        if not equals or (task not in tasks and Path(text).exists()):
            task, rest = "", text
        elif task not in tasks:
            hint = did_you_mean(task, tasks, f"tasks: {', '.join(tasks)}")
            raise UsageError(f"unknown task {task!r} in {text!r}", hint)
        sources.setdefault(task, []).append(parse_source(rest, formats))
    return sources


def find_data(source: Source, task: Measured) -> LabeledImages | None:
    """What a source holds for a task, or None if there is nothing."""
    for kind in formats_of(task):
        if source.format in (None, kind.name):
            found: LabeledImages | None = resolve_reference(kind.read)(source.path)
            if found is not None and (found.has_masks or not task.masks):
                return found
    return None


def load_data(source: Source, task: Measured, limit: int | None = None) -> LabeledImages:
    """What a source holds for a task.

    Args:
        source: Where to look.
        task: What will be measured.
        limit: Take at most so many images, evenly spread.

    Raises:
        DataError: If there is nothing; says what was looked for.
    """
    found = find_data(source, task)
    if found is None or not found.paths:
        wanted = "; or ".join(kind.needs for kind in formats_of(task))
        masks = ", with masks" if task.masks else ""
        raise DataError(
            f"{source} has nothing for {task.name}: looked for {wanted}{masks}",
            f"give another source: --data {task.name}=PATH",
        )
    return found.take(limit)
