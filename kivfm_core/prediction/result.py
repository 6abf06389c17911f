"""The result of a prediction, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    """

    task: str
    teacher: str
    width: int
    height: int
    kind: str
    found: list[dict[str, Any]]

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
