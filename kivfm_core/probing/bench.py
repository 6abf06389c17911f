"""What a protocol works with: a model, sources of images, settings, and features that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.sources import formats_of, load_data, parse_source
from kivfm_core.errors import DataError, printable
from kivfm_core.geometry import Frame
from kivfm_core.loaded.features import Viewpoint, viewpoint
from kivfm_core.loaded.store import FeatureStore, Read, list_facts
from kivfm_core.models.model import Model
from kivfm_core.probing.protocol import Settings
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Progress, stage
from kivfm_core.task import LabeledImages, Measured
from kivfm_core.tasks.table import KNN
from kivfm_core.teacher import Encoder, Levels

Part = Literal["train", "val"]


@dataclass
class Bench:
    """All that a protocol needs.

    Attributes:
        model: What is measured.
        settings: How.
        sources: What the user gave for `train` and `val`.
        folder: Where features are kept.
        progress: Where to report.
        notes: What a reader should know, a line each.
        known: What several protocols read, by a name for it.
        team: Processes that share the images.
    """

    model: Model
    settings: Settings
    sources: Mapping[Part, str]
    folder: Path
    progress: Progress
    notes: list[str] = field(default_factory=list[str])
    known: dict[str, Any] = field(default_factory=dict[str, Any])
    team: Team = ONE_PROCESS

    @cached_property
    def seen(self) -> Viewpoint:
        """What features are read from."""
        return viewpoint(self.model, self.settings.teacher)

    @property
    def dense_level(self) -> str | None:
        """Name of the main dense map; None if there is none."""
        if self.seen.teacher is None:
            return self.model.dense_level
        return self.seen.maps[-1] if self.seen.maps else None

    def source(self, part: Part) -> str:
        """What the user gave for a part."""
        return self.sources[part]

    def labeled(
        self, task: Measured, parts: Sequence[Part] = ("train", "val")
    ) -> dict[Part, LabeledImages]:
        """What the sources hold for something that is measured.

        Raises:
            DataError: If one holds nothing for it, or they share images.
        """
        kinds, found = [kind.name for kind in formats_of(task)], dict[Part, LabeledImages]()
        for part in parts:
            text = self.sources[part]
            found[part] = load_data(parse_source(text, kinds), task, self.settings.limit)
            for note in found[part].notes:
                self.note(f"{text}: {note}")
        if len(found) == 2:
            refuse_shared(found["train"].paths, found["val"].paths, self.sources)
        return found

    @cached_property
    def classes(self) -> dict[Part, ClassData]:
        """Images with a class each."""
        found: dict[Part, ClassData] = {}
        for part, data in self.labeled(KNN).items():
            if not isinstance(data, ClassData):
                raise DataError(f"{self.sources[part]} has no classes")
            found[part] = data
        return found

    def features(
        self, what: str, encoder: Encoder, paths: Sequence[Path], read: Read, weights: str = ""
    ) -> FeatureStore:
        """Features of images, computed where they are not kept already.

        Args:
            what: What is read of the levels, in a word; another word for anything else.
            encoder: What gives levels, on the canvases of its spec.
            paths: The images.
            read: What is kept.
            weights: The hash of another model's weights, whose encoder it is.
        """
        weights = weights or weights_of(encoder) or self.model.sha256
        store = FeatureStore(self.folder, what, list_facts(weights, encoder, paths))
        missing = len(paths) - len(store.places)
        if 0 < missing < len(paths):
            self.progress.message(f"{what}: {len(store.places)} of {len(paths)} images are kept")
        tick = stage(self.progress, f"{encoder.spec.name}: {what}")
        store.fill(paths, encoder, read, tick, team=self.team)
        return store

    def note(self, line: str) -> None:
        """Adds a note, unless it is there."""
        if line not in self.notes:
            self.notes.append(line)
            self.progress.message(line)


def weights_of(encoder: Encoder) -> str:
    """The hash of the file that a teacher's weights were loaded from; empty if it is no teacher."""
    inner: Any = encoder
    while hasattr(inner, "model"):  # where it runs on a device, or on other canvases
        inner = inner.model
    return getattr(getattr(inner, "provenance", None), "sha256", "")


def refuse_shared(train: Sequence[Path], val: Sequence[Path], sources: Mapping[Part, str]) -> None:
    """Raises a `DataError` if images to learn from are scored, too."""
    known = set(train)
    shared = [path for path in val if path in known]
    if shared:
        raise DataError(
            f"{len(shared)} images are in both {printable(sources['train'])} and"
            f" {printable(sources['val'])}, such as {printable(shared[0])}",
            "give other images to score: --val D",
        )


def pooled(level: Tensor) -> Tensor:
    """A level as one vector for each image: a dense one is averaged over its grid."""
    level = level.float().cpu()
    return level if level.ndim == 2 else level.mean(dim=(2, 3))


def reading(names: Mapping[str, str]) -> Read:
    """Reads levels as vectors.

    Args:
        names: The levels, by what they are stored as.
    """

    def read(levels: Levels, frames: Sequence[Frame]) -> dict[str, Tensor]:
        return {name: pooled(levels[level]) for name, level in names.items()}

    return read
