"""Zero-shot classification: top-1 accuracy with the data's class names as the prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.label_spaces import are_ids, label_names
from kivfm_core.errors import DataError, printable
from kivfm_core.geometry import Frame
from kivfm_core.task import Prompter
from kivfm_core.tasks.meters.classification import Classification


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
        self.labels = [name.replace("_", " ") for name in names]
        twice = [name for name, count in Counter(self.labels).items() if count > 1]
        if twice:
            raise DataError(
                f"several classes are called {printable(twice[0])!r}: zero-shot cannot tell them"
                " apart",
                "merge their images, or give them other names",
            )
        self._prompt: Any = None

    def notes(self) -> tuple[str, ...]:
        """Classes without an image, and names that mean nothing."""
        ids = self.data.classes is not None and are_ids(self.data.classes)
        hint = ("class names are numbers or ids: they carry no meaning for zero-shot",)
        return super().notes() + (hint if ids else ())

    def prompt(self, teacher: Prompter, indices: Sequence[int], frames: Sequence[Frame]) -> Any:
        """The class names through the text tower, computed once."""
        if self._prompt is None:
            self._prompt = teacher.prompt("zero-shot", labels=self.labels)
        return self._prompt
