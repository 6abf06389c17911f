"""The classes of labeled data as the words of a prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kivfm_core.data.label_spaces import are_ids
from kivfm_core.errors import DataError, printable
from kivfm_core.task import Prompter


class ClassNames:
    """Class names that a prompt brings, in plain words.

    Args:
        task: The task that takes the prompt.
        classes: The names in the data.

    Attributes:
        labels: The names with spaces in place of underscores.

    Raises:
        DataError: If two classes have one name once underscores are spaces.
    """

    def __init__(self, task: str, classes: Sequence[str]) -> None:
        self.task, self.labels = task, [name.replace("_", " ") for name in classes]
        twice = [name for name, count in Counter(self.labels).items() if count > 1]
        if twice:
            raise DataError(
                f"several classes are called {printable(twice[0])!r}: {task} cannot tell them"
                " apart",
                "merge their images, or give them other names",
            )
        self._prompt: Any = None

    def prompt(self, teacher: Prompter) -> Any:
        """The class names through the text tower, computed once."""
        if self._prompt is None:
            self._prompt = teacher.prompt(self.task, labels=self.labels)
        return self._prompt

    def notes(self) -> tuple[str, ...]:
        """Names that mean nothing."""
        hint = f"class names are numbers or ids: they carry no meaning for {self.task}"
        return (hint,) if are_ids(self.labels) else ()
