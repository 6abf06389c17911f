"""Images with one class each: what the formats `labels` and `folder` hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from kivfm_core.data.labeled_images import pick
from kivfm_core.task import LabeledImages


@dataclass(frozen=True)
class ClassData(LabeledImages):
    """Images with one class each.

    Attributes:
        paths: The images.
        targets: Index of each image's class in `classes`, or in the model's own label space.
        classes: The classes' names; None if the data only has indices.
        notes: What was repaired or passed over when the data was read, a line each.
    """

    paths: tuple[Path, ...]
    targets: tuple[int, ...]
    classes: tuple[str, ...] | None
    notes: tuple[str, ...] = ()

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their classes."""
        return replace(self, paths=pick(self.paths, indices), targets=pick(self.targets, indices))
