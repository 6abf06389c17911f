"""Text segmentation: COCO's mask AP with the data's class names as the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.geometry import Frame
from kivfm_core.task import Prompter
from kivfm_core.tasks.meters.instance_segmentation import InstanceSegmentation
from kivfm_core.tasks.text_segmentation import TEXT_SEGMENTATION


class TextSegmentation(InstanceSegmentation):
    """Mask AP over the data's own classes.

    Args:
        data: Images with objects that have masks.
        space: Ignored: the prompt brings the labels.
    """

    def __init__(self, data: CocoData, space: tuple[str, ...] | None) -> None:
        super().__init__(data, data.classes)
        self.labels = [name.replace("_", " ") for name in data.classes]
        self._prompt: Any = None

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The class names through the text tower, computed once."""
        if self._prompt is None:
            self._prompt = teacher.prompt(TEXT_SEGMENTATION.name, labels=self.labels)
        return self._prompt
