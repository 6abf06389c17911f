"""Zero-shot classification: top-1 accuracy with the data's class names as the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.label_spaces import label_names
from kivfm_core.geometry import Frame
from kivfm_core.task import Prompter
from kivfm_core.tasks.meters.class_names import ClassNames
from kivfm_core.tasks.meters.classification import Classification
from kivfm_core.tasks.zero_shot import ZERO_SHOT


class ZeroShot(Classification):
    """Top-1 accuracy among the data's own classes.

    Args:
        data: Images with classes; plain indices are ImageNet's.
        space: Ignored: the prompt brings the labels.

    Raises:
        DataError: If two classes have one name once underscores are spaces.
    """

    def __init__(self, data: ClassData, space: tuple[str, ...] | None) -> None:
        names = data.classes or label_names("imagenet-1k") or ()
        super().__init__(data, names)
        self.words = ClassNames(ZERO_SHOT.name, names)

    def notes(self) -> tuple[str, ...]:
        """Classes without an image, and names that mean nothing."""
        return super().notes() + self.words.notes()

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The class names through the text tower, computed once."""
        return self.words.prompt(teacher)
