"""How long work reports: distillation, building a cache, evaluation, drawing scenes. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

# Called with (done, total) after each image.
Counter = Callable[[int, int], None]


class Progress(Protocol):
    """Receives reports; a terminal, a log, or nothing.

    Work comes in stages, one after another. Each begins with `start`; `message` may come any time.
    """

    def start(self, total: int, done: int = 0) -> None:
        """A stage begins.

        Args:
            total: Its steps in all.
            done: Those made before, by a run that is resumed.
        """
        ...

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made.

        Args:
            info: `step`, the steps done; `what`, the stage's name, if it has one; and for
                training `loss`, `losses` by teacher, `lr`, `images_per_second`, and `data_share`,
                the share of time spent waiting for data.
        """
        ...

    def message(self, text: str) -> None:
        """Something worth a line."""
        ...

    def close(self) -> None:
        """The work ended; more than one call does no harm."""
        ...


class Silent:
    """Reports nothing."""

    def start(self, total: int, done: int = 0) -> None:
        """Ignored."""

    def step(self, info: dict[str, Any]) -> None:
        """Ignored."""

    def message(self, text: str) -> None:
        """Ignored."""

    def close(self) -> None:
        """Ignored."""


def stage(progress: Progress, what: str) -> Counter:
    """One stage of some work, reported by counting: it starts with the first count."""
    started = False

    def count(done: int, total: int) -> None:
        nonlocal started
        if not started:
            progress.start(total)
            started = True
        progress.step({"step": done, "what": what})

    return count
