"""The result of a prediction, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from kivfm_core.errors import UsageError
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.objects import coco_results, supervision_detections

# The key under which a row from a task's `draw` has its mask, bool `[H, W]`.
MASK = "mask"

# The keys of rows that have a form of their own in a line of text.
KNOWN = {
    "probability", "share", "score", "label", "value", "unit", "point", "prompt", "box", "area"
}  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """What was found in an image, in its own pixels.

    Attributes:
        task: What was solved.
        teacher: The teacher whose decoder solved it.
        width: Width of the image.
        height: Height of the image.
        kind: What was found, such as `objects`; from `TaskRecord.kind`.
        found: Each with some of `label`, `probability` or `score`, `share` of the image,
            `value` and its `unit`, `box` (xyxy), `area` in pixels, the `prompt` (`points`, their
            `labels`, 1 or 0, and a `box`) and its first positive `point`; a plugin's task may have
            keys of its own.
        names: The classes in the order of the decoder's labels, or those of the call; None
            if there are none.
        masks: Bool `[N, H, W]`, a mask for each of `found`; None where the task gives none.
        drawing: The image with what was found drawn on it.
    """

    task: str
    teacher: str
    width: int
    height: int
    kind: str
    found: list[dict[str, Any]]
    names: Sequence[str] | None = None
    masks: Tensor | None = field(default=None, compare=False, repr=False)
    drawing: Drawing | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "schema": 1,
            "task": self.task,
            "teacher": self.teacher,
            "width": self.width,
            "height": self.height,
            self.kind: self.found,
        }

    def lines(self) -> list[str]:
        """A line for each thing found."""
        return [_line(item) for item in self.found] or ["nothing found"]

    def draw(self) -> Image.Image:
        """The image with what was found drawn on it; a small image is enlarged.

        Raises:
            UsageError: If the prediction was made without an image.
        """
        if self.drawing is None:
            raise UsageError("this prediction has no image", 'm.predict("photo.jpg", TASK)')
        return self.drawing.to_pil()

    def to_coco(
        self, image_id: int | str = 0, categories: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """The objects as COCO's results: `image_id`, `category_id`, `bbox` (xywh), `score`.

        With masks there is also `segmentation`, as compressed run lengths. A mask that a click gave
        has the category 0 and the score 1.

        Args:
            image_id: The image's id in the data.
            categories: Ids of the categories by name; by default COCO's own if the teacher has
                COCO's classes, and a class's number among the teacher's if not.

        Raises:
            UsageError: If the task finds no objects, or a class is in no category.
        """
        self._check_objects("COCO's results")
        return coco_results(self.found, self.masks, self.names, image_id, categories)

    def to_supervision(self) -> Any:
        """The objects as `supervision.Detections`, masks included.

        `class_id` is a class's number among the teacher's, `data["class_name"]` its name.

        Raises:
            UsageError: If the task finds no objects.
            KivfmError: If the package `supervision` is missing.
        """
        self._check_objects("supervision")
        return supervision_detections(self.found, self.masks, self.names)

    def _check_objects(self, form: str) -> None:
        if self.kind not in ("objects", "masks"):
            raise UsageError(
                f"{self.task} finds {self.kind}; {form} has objects alone",
                "detection, instance-segmentation or promptable-segmentation",
            )


def take_masks(rows: Sequence[dict[str, Any]]) -> Tensor | None:
    """Takes the masks out of rows, `[N, H, W]`; None if they have none."""
    masks = [row.pop(MASK) for row in rows if MASK in row]
    return torch.stack(masks) if masks else None


def _line(item: dict[str, Any]) -> str:
    words: list[str] = []
    for key in ("probability", "share"):
        if key in item:
            words.append(f"{item[key]:6.1%}")
    if "score" in item:
        words.append(f"{item['score']:.2f}")
    if "label" in item:
        words.append(item["label"])
    if "prompt" in item:
        words.append(_prompt(item["prompt"]))
    elif "point" in item:
        words.append("click at {:g}, {:g}".format(*item["point"]))
    if item.get("box") is not None:
        words.append("box {:.0f}, {:.0f}, {:.0f}, {:.0f}".format(*item["box"]))
    if "area" in item:
        words.append(f"area {item['area']}")
    # What only a plugin's task has, by its name.
    for key in (key for key in item if key not in KNOWN):
        value = item[key]
        words.append(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}")
    return "  ".join(words)


def _prompt(prompt: dict[str, Any]) -> str:
    """A prompt such as `click at 120, 80; not 40, 40; in 10, 10, 200, 160`."""
    pairs = list(zip(prompt["points"], prompt["labels"], strict=True))
    words = [f"click at {x:g}, {y:g}" for (x, y), label in pairs if label]
    words += [f"not {x:g}, {y:g}" for (x, y), label in pairs if not label]
    if "box" in prompt:
        words.append("in {:g}, {:g}, {:g}, {:g}".format(*prompt["box"]))
    return "; ".join(words)
