"""Text segmentation: COCO's mask AP with the data's class names as the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.geometry import Frame
from kivfm_core.task import Prompter
from kivfm_core.tasks.meters.class_names import ClassNames
from kivfm_core.tasks.meters.instance_segmentation import InstanceSegmentation
from kivfm_core.tasks.text_segmentation import TEXT_SEGMENTATION


class TextSegmentation(InstanceSegmentation):
    """Mask AP over the data's own classes.

    Args:
        data: Images with objects that have masks.
        space: Ignored: the prompt brings the labels.

    Raises:
        DataError: If two classes have one name once underscores are spaces.
    """

    def __init__(self, data: CocoData, space: tuple[str, ...] | None) -> None:
        super().__init__(data, data.classes)
        self.words = ClassNames(TEXT_SEGMENTATION.name, data.classes)

    def notes(self) -> tuple[str, ...]:
        """Categories without an instance, and names that mean nothing."""
        return super().notes() + self.words.notes()

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The class names through the text tower, computed once."""
        return self.words.prompt(teacher)
