"""Open-vocabulary segmentation: mean IoU with the data's class names as the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch.nn.functional as F

from kivfm_core.geometry import Frame
from kivfm_core.predictions import SemanticLogits
from kivfm_core.task import Prompter
from kivfm_core.tasks.meters.class_names import ClassNames
from kivfm_core.tasks.meters.semantic_segmentation import ClassMaps, SemanticSegmentation
from kivfm_core.tasks.open_vocabulary import OPEN_VOCABULARY

BACKGROUND = "background"


class OpenVocabulary(SemanticSegmentation):
    """Mean IoU over the data's own classes and the background.

    A pixel is background if no word fits it.

    Args:
        data: Images with a class at every pixel.
        space: Ignored: the prompt brings the labels.

    Raises:
        DataError: If two classes have one name once underscores are spaces.
    """

    def __init__(self, data: ClassMaps, space: tuple[str, ...] | None) -> None:
        names = [name for name in data.classes if name.strip("_") != BACKGROUND]
        super().__init__(data, (BACKGROUND, *names))
        self.words = ClassNames(OPEN_VOCABULARY.name, names)

    def notes(self) -> tuple[str, ...]:
        """Classes that no pixel shows, and names that mean nothing."""
        return super().notes() + self.words.notes()

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The class names through the text tower, computed once."""
        return self.words.prompt(teacher)

    def update(
        self, predictions: SemanticLogits, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Counts the pixels of every image."""
        with_none = F.pad(predictions.logits, (0, 0, 0, 0, 1, 0))
        super().update(replace(predictions, logits=with_none), indices, frames)
