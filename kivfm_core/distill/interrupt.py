"""SIGINT and SIGTERM: the step is finished and saved before the process leaves."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from kivfm_core.errors import KivfmError


class Interrupted(KivfmError):
    """The run was stopped from outside; nothing is lost."""

    exit_code = 130


class Interrupt:
    """While open, notes that someone asked to stop instead of stopping at once."""

    signals = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        # Handlers belong to the main thread; from another one the caller keeps his own.
        try:
            self.before = {s: signal.signal(s, self._note) for s in self.signals}
        except ValueError:
            self.before = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def leave(self, run: Path) -> NoReturn:
        """Stops the work, saying how to go on."""
        raise Interrupted("interrupted; the checkpoint is written", f"kivfm distill --resume {run}")
