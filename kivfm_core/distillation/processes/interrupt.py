"""Being asked to stop: the step is finished and saved before the process leaves.

By SIGINT (Ctrl-C), SIGTERM, and SIGUSR1 or SIGUSR2, which SLURM sends before it preempts a job if
asked to (`--signal`).
"""

from __future__ import annotations

import signal
from pathlib import Path
from shlex import quote
from types import FrameType, TracebackType
from typing import Any

from kivfm_core.errors import KivfmError

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(signal.Signals[name] for name in NAMES if hasattr(signal, name))


class Interrupted(KivfmError):
    """The run was stopped from outside; nothing is lost."""

    exit_code = 130


class Interrupt:
    """While open, a signal is an `Interrupted`: at once, or when a patient loop has saved its step.

    Args:
        run: The run folder, for the hint.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.asked = self.patient = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        # Handlers belong to the main thread; from another one the caller keeps his own.
        try:
            self.before = {s: signal.signal(s, self._note) for s in SIGNALS}
        except ValueError:
            self.before = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if isinstance(error, KeyboardInterrupt):
            raise self.stopped("what was saved before is whole") from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Whoever presses Ctrl-C again does not want to wait for the step.
        if not self.patient or (self.asked and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.asked = True

    def stopped(self, what: str = "the checkpoint is written") -> Interrupted:
        """The error to leave with; it says how to go on."""
        return Interrupted(f"interrupted; {what}", f"kivfm distill --resume {quote(str(self.run))}")
