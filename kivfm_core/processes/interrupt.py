"""Stopping on a signal: the step is finished and saved before the process leaves.

Signals are SIGINT (Ctrl-C), SIGTERM, and SIGUSR1 or SIGUSR2, which SLURM can send before it
preempts a job (`--signal`).
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
    """While open, a signal ends the run with `Interrupted`.

    Args:
        run: The run folder, for the hint.

    Attributes:
        wait_for_step: Whether a signal is only noted, for the training loop to stop after the
            step that it makes; otherwise it interrupts at once.
        requested: Whether such a signal came.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.requested = self.wait_for_step = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        # Only the main thread may set handlers; in any other, those of the caller stay.
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
        # A second Ctrl-C does not wait for the step.
        if not self.wait_for_step or (self.requested and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.requested = True

    def stopped(self, what: str = "the checkpoint is written") -> Interrupted:
        """The error to leave with; its hint is the command that resumes."""
        return Interrupted(f"interrupted; {what}", f"kivfm distill --resume {quote(str(self.run))}")
