"""What a caller can watch while a distillation runs."""

from __future__ import annotations

from typing import Any, Protocol


class Progress(Protocol):
    """Receives what happens; a terminal, a log, or nothing."""

    def start(self, total: int, done: int = 0) -> None:
        """The loop begins: `total` steps in all, `done` of them before."""
        ...

    def step(self, info: dict[str, Any]) -> None:
        """Steps were made: `step`, `loss`, `losses` by teacher, `lr`, `images_per_second`,
        `data_share` (share of time spent waiting for data)."""  # noqa: D205, D209
        ...

    def message(self, text: str) -> None:
        """Something worth a line."""
        ...

    def close(self) -> None:
        """The loop ended."""
        ...


class Silent:
    """Watches nothing."""

    def start(self, total: int, done: int = 0) -> None:
        """Ignored."""

    def step(self, info: dict[str, Any]) -> None:
        """Ignored."""

    def message(self, text: str) -> None:
        """Ignored."""

    def close(self) -> None:
        """Ignored."""
